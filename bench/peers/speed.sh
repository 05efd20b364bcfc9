#!/bin/sh
# Sluice against llama.cpp on the same files, by turns: docs/benchmarks.md has the numbers. Needs Go, node and npm.
#
#   bench/peers/speed.sh                          everything: about half an hour on two cores
#   bench/peers/speed.sh --files 350m-q4_0 --rounds 1
#   bench/peers/speed.sh --report                 the table of what was measured so far
#
# Models (random weights: speed does not depend on their values), npm packages and raw results are kept in .cache/speed.
# Nothing else should run on the machine. LLAMA_BENCH and LLAMA_BATCHED_BENCH name llama.cpp's own programs, if you have
# built them: they are then asked too, and the better of the two answers counts for llama.cpp.
set -eu
cd "$(dirname "$0")"
here=$PWD
root=$(cd ../.. && pwd)
cache=${SPEED_CACHE:-$root/.cache/speed}
mkdir -p "$cache/models"
if [ -z "${SLUICE:-}" ]; then
	SLUICE=$cache/sluice
	(cd "$root" && CGO_ENABLED=0 go build -trimpath -o "$SLUICE" ./cmd/sluice)
fi
export SLUICE
for size in 350m 1.2b; do
	for type in q4_0 q8_0 q4_k_m; do
		[ -f "$cache/models/$size-$type.gguf" ] || "$SLUICE" models synth --size $size --type $type --seed 1 -o "$cache/models/$size-$type.gguf"
	done
done
if [ ! -d node_modules/node-llama-cpp ]; then
	npm install --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error
fi
exec node "$here/speed.mjs" --models "$cache/models" --raw "$cache/speed.jsonl" "$@"
