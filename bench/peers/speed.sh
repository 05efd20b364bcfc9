#!/bin/sh
# Sluice against llama.cpp on the same files, by turns: docs/benchmarks.md has the numbers. Needs Go, node and npm.
#
#   bench/peers/speed.sh                          everything: about half an hour on two cores
#   bench/peers/speed.sh --files 350m-q4_0 --rounds 1
#   bench/peers/speed.sh --report                 the table of what was measured so far
#
# Models (random weights: speed does not depend on their values), npm packages and raw results are kept in .cache/speed.
# Nothing else should run on the machine. LLAMA_BENCH and LLAMA_BATCHED_BENCH name llama.cpp's own programs; where cmake
# and a C++ compiler are there, they are built from the sources in the npm package. The better of their answer and the
# binding's counts for llama.cpp: the binding takes a millisecond or more of its own for each token.
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
if [ -z "${LLAMA_BENCH:-}" ] && command -v cmake >/dev/null && command -v c++ >/dev/null; then
	bin=$cache/llama.cpp/build/bin
	if [ ! -x "$bin/llama-batched-bench" ]; then
		echo "building llama-bench and llama-batched-bench: some minutes" >&2
		rm -rf "$cache/llama.cpp"
		git clone --quiet -c advice.detachedHead=false node_modules/node-llama-cpp/llama/gitRelease.bundle "$cache/llama.cpp" &&
			cmake -S "$cache/llama.cpp" -B "$cache/llama.cpp/build" -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DLLAMA_CURL=OFF \
				-DBUILD_SHARED_LIBS=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF >"$cache/llama.log" 2>&1 &&
			cmake --build "$cache/llama.cpp/build" --target llama-bench llama-batched-bench >>"$cache/llama.log" 2>&1 ||
			echo "they could not be built: $cache/llama.log says why; the binding alone is asked" >&2
	fi
	[ ! -x "$bin/llama-bench" ] || export LLAMA_BENCH="$bin/llama-bench"
	[ ! -x "$bin/llama-batched-bench" ] || export LLAMA_BATCHED_BENCH="$bin/llama-batched-bench"
fi
exec node "$here/speed.mjs" --models "$cache/models" --raw "$cache/speed.jsonl" "$@"
