#!/bin/sh
# Makes the reference numbers in testdata/parity again and compares with them:
#
#   llama.cpp      through node-llama-cpp's prebuilt binaries, and its vocabularies (needs node and npm)
#   transformers   in a virtual environment of its own (needs Python 3.10 or newer)
#
# A part whose tools are missing is skipped, and said so. PARITY_PYTHON names an
# interpreter that has torch and transformers already.
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
out=$root/testdata/parity
models=$(mktemp -d)
trap 'rm -rf "$models"' EXIT

echo "writing the models"
(cd "$root" && go test ./runtime/lfm2 -count=1 -run 'TestParity$' -models "$models")

if command -v npm >/dev/null; then
	npm install --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error
	node parity.mjs "$models" "$out"
	# The package carries llama.cpp's sources, and in them vocabularies with texts and the ids they must give.
	git clone --quiet -c advice.detachedHead=false node_modules/node-llama-cpp/llama/gitRelease.bundle "$models/llama.cpp"
	(cd "$root" && SLUICE_VOCAB_DIR="$models/llama.cpp/models" go test ./runtime/tokenizer -count=1 -v -run 'TestParity$')
else
	echo "llama.cpp skipped: npm is not installed" >&2
fi

python=${PARITY_PYTHON:-}
if [ -z "$python" ] && command -v python3 >/dev/null; then
	python=.venv/bin/python
	[ -x "$python" ] || python3 -m venv .venv
	"$python" -m pip install --quiet -r requirements.txt
fi
if [ -n "$python" ]; then
	(cd "$root" && go build -o "$models/sluice" ./cmd/sluice)
	"$python" transformers_parity.py "$models" "$out" "$models/sluice"
else
	echo "transformers skipped: python3 is not installed" >&2
fi

cd "$root"
go test ./runtime/lfm2 -count=1 -v -run 'TestParity$|TestTransformers' -wide | grep -v '^=== '
