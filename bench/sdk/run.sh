#!/usr/bin/env bash
# Drives a gateway with OpenAI's official SDKs, unchanged: JavaScript (needs node and npm) and, where Python is
# there, Python. Two gateways run: "up" serves a model with random weights and plays the cloud, "gate" stands before it.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
bin=$root/bin/sluice
work=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT

[ -d node_modules/openai ] || npm install --no-audit --no-fund --silent

"$bin" models synth --size tiny --type q8_0 --seed 5 -o "$work/up.gguf"
"$bin" models synth --size tiny --type q8_0 --seed 6 -o "$work/home.gguf"
port() { node -e 's=require("net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})'; }
up=$(port) upadmin=$(port) gate=$(port) gateadmin=$(port)
cat > "$work/gate.yaml" <<YAML
providers:
  - name: up
    base_url: http://127.0.0.1:$up/v1
    zone: {region: EU, jurisdiction: DE, operator: Up, retention_days: 0, trains: false}
    models: [{name: big, model: local/up, can: [chat, tools, json], price: {input: 1, output: 2}}]
keys:
  - {name: sdk, secret: sk-sdk-test, debug: true}
YAML
start() { # name, then flags
  local name=$1; shift
  "$bin" serve --data-dir "$work/$name" "$@" 2> "$work/$name.log" &
  pids+=($!)
}
start up --listen "127.0.0.1:$up" --admin-listen "127.0.0.1:$upadmin" --model "$work/up.gguf"
start gate --config "$work/gate.yaml" --listen "127.0.0.1:$gate" --admin-listen "127.0.0.1:$gateadmin" --model "$work/home.gguf"
for p in "$upadmin" "$gateadmin"; do
  for _ in $(seq 100); do curl -sf "http://127.0.0.1:$p/readyz" > /dev/null && break; sleep 0.1; done
done

export OPENAI_API_KEY=sk-sdk-test OPENAI_BASE_URL=http://127.0.0.1:$gate/v1
if ! node conformance.mjs; then cat "$work"/*.log; exit 1; fi
if command -v python3 > /dev/null; then
  [ -d .venv ] || { python3 -m venv .venv && .venv/bin/pip install --quiet -r requirements.txt; }
  if ! .venv/bin/python conformance.py; then cat "$work"/*.log; exit 1; fi
fi
"$bin" audit verify --data-dir "$work/gate"
