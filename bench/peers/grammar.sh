#!/bin/sh
# Structured output beside llama.cpp: the same model (350M shape, Q4_0, random weights, a real vocabulary cut to
# 65,536), the same schema, two threads, in turns. Needs Go, git, node and npm, and a machine that does nothing else.
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm install --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error
git clone --quiet -c advice.detachedHead=false node_modules/node-llama-cpp/llama/gitRelease.bundle "$work/llama.cpp"
cd "$root"
go run ./cmd/sluice models synth --size 350m --type q4_0 --seed 1 --vocab "$work/llama.cpp/models/ggml-vocab-llama-bpe.gguf" -o "$work/model.gguf"
go test -c -o "$work/structured.test" ./runtime/grammar/jsonschema
for round in 1 2 3; do
	(cd runtime/grammar/jsonschema && "$work/structured.test" -test.run xxx -test.bench Structured -test.benchtime 4x -structured-model "$work/model.gguf" | grep tokens/s)
	node bench/peers/grammar.mjs "$work/model.gguf" 10
done
