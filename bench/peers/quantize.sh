#!/bin/sh
# Holds Sluice's quantiser to llama.cpp's: quantize.py, with llama.cpp built by
# the Python package llama-cpp-python (many minutes the first time; it needs
# Python 3.10 or later and a C++ compiler).
#
#   bench/peers/quantize.sh SLUICE            small models that SLUICE makes, and the embedded one
#   bench/peers/quantize.sh SLUICE FILE...    F32, F16 or BF16 files
#
# The environment PEERS names a folder to keep the package in; without it, one
# under the system's temporary folder.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
sluice=${1:?usage: quantize.sh SLUICE [FILE...]}
shift
peers=${PEERS:-${TMPDIR:-/tmp}/sluice-peers}
if [ ! -x "$peers/bin/python" ]; then
    python3 -m venv "$peers"
fi
"$peers/bin/pip" install --quiet --requirement "$here/quantize.txt"
"$peers/bin/python" "$here/quantize.py" numbers
if [ $# -eq 0 ]; then
    models=$(mktemp -d)
    trap 'rm -r "$models"' EXIT
    for size in tiny mini tinymoe; do
        "$sluice" models synth --size $size --type f32 --seed 3 -o "$models/$size.gguf"
    done
    "$sluice" models quantize "$here/../../runtime/nano/nano.gguf" --type f32 --allow-requantize -o "$models/nano.gguf"
    set -- "$models"/*.gguf
fi
"$peers/bin/python" "$here/quantize.py" models "$sluice" "$@"
