"""Asks transformers what small random models answer, and checks what it saves.

    transformers_parity.py MODELS OUTPUT [SLUICE]

MODELS is the folder that `go test ./runtime/lfm2 -run 'TestParity$' -models MODELS`
filled. For each checkpoint in its plan.json the probabilities of the 20 likeliest
tokens go to OUTPUT/hf-NAME.json, which `go test ./runtime/lfm2` compares with.

With SLUICE, the binary, there is a second part: models of random shapes made and
saved by transformers itself are opened by Sluice, whose log-probabilities must
agree. It fails if one differs by more than 1e-5.

Everything is computed in float32 with eager attention. The script runs in a
virtual environment of its own; see parity.sh.
"""

import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers
from transformers import AutoModelForCausalLM, Lfm2Config, Lfm2ForCausalLM, Lfm2MoeConfig, Lfm2MoeForCausalLM

TOP, POSITIONS = 20, 32
models, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
sluice = sys.argv[3] if len(sys.argv) > 3 else None
peer = f"transformers {transformers.__version__}, torch {torch.__version__}"
torch.set_num_threads(1)
transformers.utils.logging.disable_progress_bar()
torch.manual_seed(7)


def logprobs(model, tokens):
    with torch.no_grad():
        return torch.log_softmax(model(torch.tensor([tokens])).logits[0].double(), -1)


def witness(plan):
    folder = models / plan["hub"]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    tokens = plan.get("prompt") or json.loads((out / (plan["name"] + ".json")).read_text())["prompt"]
    lp = logprobs(model, tokens)
    positions = sorted({round(i * (len(tokens) - 1) / (POSITIONS - 1)) for i in range(POSITIONS)})
    rows = []
    for at in positions:
        top = torch.topk(lp[at], TOP)
        rows.append([at, [[int(i), round(float(v.exp()), 6)] for v, i in zip(top.values, top.indices)]])
    sha = hashlib.sha256((models / plan["model"]).read_bytes()).hexdigest()
    head = {"peer": peer, "model": plan["name"], "sha256": sha}
    if "prompt" not in plan:
        head["prompt"] = tokens
    head["vocab"] = lp.shape[1]
    lines = [f"  {json.dumps(k)}: {json.dumps(v)}," for k, v in head.items()]
    body = ",\n".join("    " + json.dumps(r, separators=(",", ":")) for r in rows)
    (out / f"hf-{plan['name']}.json").write_text("{\n" + "\n".join(lines) + '\n  "steps": [\n' + body + "\n  ]\n}\n")
    print(f"hf-{plan['name']}: {len(tokens)} tokens, {len(rows)} positions")


def shapes():
    """Models of shapes and settings that the synthetic ones do not have."""
    base = dict(vocab_size=640, hidden_size=192, num_attention_heads=6, num_key_value_heads=3, max_position_embeddings=2048,
                bos_token_id=1, eos_token_id=7, pad_token_id=0)
    kinds = ["conv", "full_attention", "conv", "full_attention"]
    yield "dense", Lfm2ForCausalLM, Lfm2Config(**base, intermediate_size=512, num_hidden_layers=4, layer_types=kinds)
    yield "dense-untied", Lfm2ForCausalLM, Lfm2Config(**base, intermediate_size=384, block_auto_adjust_ff_dim=False, num_hidden_layers=4,
                                                     layer_types=kinds, tie_word_embeddings=False, conv_L_cache=4)
    moe = dict(num_hidden_layers=4, layer_types=kinds, intermediate_size=320, moe_intermediate_size=160, num_experts=6, num_dense_layers=1)
    yield "moe", Lfm2MoeForCausalLM, Lfm2MoeConfig(**base, **moe, num_experts_per_tok=2)
    yield "moe-plain", Lfm2MoeForCausalLM, Lfm2MoeConfig(**base, **moe, num_experts_per_tok=3, norm_topk_prob=False, routed_scaling_factor=1.5,
                                                         use_expert_bias=False)


def saved(tokenizer):
    worst = 0.0
    for name, cls, config in shapes():
        for dtype in (torch.float32, torch.bfloat16):
            model = cls(config).eval()
            with torch.no_grad():
                for key, p in model.named_parameters():
                    p.copy_(1 + 0.1 * torch.randn_like(p) if "norm" in key else torch.randn_like(p) * p.shape[-1] ** -0.5)
                for key, b in model.named_buffers():
                    if "expert_bias" in key:
                        b.copy_(0.2 * torch.randn_like(b))
                model.get_input_embeddings().weight.mul_(0.5)
            model = model.to(dtype)
            with tempfile.TemporaryDirectory() as folder:
                model.save_pretrained(folder, max_shard_size="1MB")
                (pathlib.Path(folder) / "tokenizer.json").write_bytes(tokenizer)
                tokens = torch.randint(0, config.vocab_size, (200,)).tolist()
                # Read again: to(bfloat16) also rounds the rotary frequencies, which files do not hold.
                want = logprobs(cls.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval(), tokens)
                answer = subprocess.run([sluice, "models", "logits", folder, "--tokens", ",".join(map(str, tokens)), "--top", str(config.vocab_size),
                                         "--kv", "f32", "--json"], capture_output=True, text=True)
                if answer.returncode != 0:
                    sys.exit(f"{name}: sluice: {answer.stderr}")
            d = 0.0
            for at, row in enumerate(json.loads(answer.stdout)["positions"]):
                ids, values = zip(*row)
                got = torch.full((config.vocab_size,), float("nan"), dtype=torch.float64)
                got[torch.tensor([int(i) for i in ids])] = torch.tensor(values, dtype=torch.float64)
                d = max(d, float((got.exp() - want[at].exp()).abs().max()))
            print(f"saved by transformers: {name}, {dtype}: probabilities differ by up to {d:.1e}")
            worst = max(worst, d)
    if not worst <= 1e-5:
        sys.exit(f"a probability differs by {worst:g}")


plans = [p for p in json.loads((models / "plan.json").read_text()) if p.get("hub")]
for p in plans:
    witness(p)
if sluice:
    saved((models / plans[0]["hub"] / "tokenizer.json").read_bytes())
