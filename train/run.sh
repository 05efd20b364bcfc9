#!/bin/sh
# Trains nano from the texts in this folder and writes out/nano/nano.gguf; see README.md.
#   ./run.sh [arguments of distill.py]       resumes where a checkpoint was left
#   PYTHON=python3.12 ./run.sh             another interpreter
#   PIP_ARGS="--index-url URL" ./run.sh    another package source, for example the CPU wheels of PyTorch
set -eu
cd "$(dirname "$0")"
[ -x .venv/bin/python ] || "${PYTHON:-python3}" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check ${PIP_ARGS:-} -r requirements.txt
.venv/bin/python -m unittest discover -s tests
.venv/bin/python distill.py "$@"
.venv/bin/python evaluate.py --model out/nano/nano.gguf
echo "To embed it: cp out/nano/nano.gguf ../runtime/nano/ && .venv/bin/python goldens.py"
