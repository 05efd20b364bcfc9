"""nano as a GGUF file, and back: keys and tensor names as llama.cpp writes LFM2."""
from pathlib import Path

import numpy as np
import torch

from . import gguf
from .bpe import SPECIALS, Tokenizer
from .gguf import ARRAY, BOOL, F32, I32, STRING, U32
from .model import LFM2, Config
from .prompt import ROOT, ROUTES, TASKS

# The first generation of LFM2's chat templates, as runtime/chat/template is tested with it.
TEMPLATE = (ROOT / "runtime/chat/template/testdata/lfm2.jinja").read_text(encoding="utf-8")


def tensor_names(c: Config):
    """(GGUF name, PyTorch name) of every tensor, in file order."""
    yield "token_embd.weight", "embed.weight"
    yield "token_embd_norm.weight", "embedding_norm.weight"
    for i in range(c.layers):
        b, p = f"blk.{i}.", f"layers.{i}."
        yield b + "attn_norm.weight", p + "operator_norm.weight"
        if i in c.attention:
            for g, t in (("attn_q", "q"), ("attn_k", "k"), ("attn_v", "v"), ("attn_output", "o"),
                         ("attn_q_norm", "q_norm"), ("attn_k_norm", "k_norm")):
                yield f"{b}{g}.weight", f"{p}mixer.{t}.weight"
        else:
            yield b + "shortconv.conv.weight", p + "mixer.conv"
            yield b + "shortconv.in_proj.weight", p + "mixer.in_proj.weight"
            yield b + "shortconv.out_proj.weight", p + "mixer.out_proj.weight"
        yield b + "ffn_norm.weight", p + "ffn_norm.weight"
        for s in ("gate", "up", "down"):
            yield f"{b}ffn_{s}.weight", f"{p}{s}.weight"


def save(path: Path, model: LFM2, tok: Tokenizer, scale: float, bias: float, name: str = "Sluice nano v1", abilities=("judge",)):
    c, state = model.c, model.state_dict()
    n = sum(p.numel() for p in model.parameters())
    kv = [
        ("general.architecture", STRING, "lfm2"), ("general.type", STRING, "model"), ("general.name", STRING, name),
        ("general.size_label", STRING, f"{n / 1e6:.1f}M"), ("general.license", STRING, "apache-2.0"),
        ("general.file_type", U32, 7), ("general.quantization_version", U32, 2),
        ("lfm2.block_count", U32, c.layers), ("lfm2.context_length", U32, c.context),
        ("lfm2.embedding_length", U32, c.d), ("lfm2.feed_forward_length", U32, c.ffn),
        ("lfm2.attention.head_count", U32, c.heads),
        ("lfm2.attention.head_count_kv", (ARRAY, I32), [c.kv_heads if i in c.attention else 0 for i in range(c.layers)]),
        ("lfm2.attention.layer_norm_rms_epsilon", F32, c.eps), ("lfm2.rope.freq_base", F32, c.theta),
        ("lfm2.vocab_size", U32, c.vocab), ("lfm2.shortconv.l_cache", U32, c.taps),
        ("tokenizer.ggml.model", STRING, "gpt2"), ("tokenizer.ggml.pre", STRING, "lfm2"),
        ("tokenizer.ggml.tokens", (ARRAY, STRING), tok.vocab),
        ("tokenizer.ggml.token_type", (ARRAY, I32), [3 if i < len(SPECIALS) else 1 for i in range(len(tok.vocab))]),
        ("tokenizer.ggml.merges", (ARRAY, STRING), [f"{a} {b}" for a, b in tok.merges]),
        ("tokenizer.ggml.bos_token_id", U32, 1), ("tokenizer.ggml.eos_token_id", U32, 7),
        ("tokenizer.ggml.padding_token_id", U32, 0), ("tokenizer.ggml.add_bos_token", BOOL, True),
        ("tokenizer.ggml.add_sep_token", BOOL, False), ("tokenizer.chat_template", STRING, TEMPLATE),
        ("sluice.abilities", (ARRAY, STRING), list(abilities)),
    ] + ([("sluice.judge.scale", F32, scale), ("sluice.judge.bias", F32, bias)] if "judge" in abilities else [("sluice.verbatim", BOOL, True)])
    tensors = {}
    for g, t in tensor_names(c):
        w = state[t].detach().float().cpu().numpy()
        small = w.ndim == 1 or "shortconv.conv" in g
        tensors[g] = (w, gguf.TENSOR_F32 if small else gguf.TENSOR_Q8_0)
    assert len(tensors) == len(state) and len(tok.vocab) == c.vocab
    gguf.write(path, kv, tensors)


def load(path: Path) -> tuple[LFM2, Tokenizer, dict]:
    """The model of a file that save wrote, with the weights as the quantised file holds them."""
    kv, tensors = gguf.read(path)
    hkv = kv["lfm2.attention.head_count_kv"]
    c = Config(vocab=kv["lfm2.vocab_size"], d=kv["lfm2.embedding_length"], layers=kv["lfm2.block_count"],
               attention=tuple(i for i, n in enumerate(hkv) if n), heads=kv["lfm2.attention.head_count"],
               kv_heads=max(hkv), ffn=kv["lfm2.feed_forward_length"], taps=kv["lfm2.shortconv.l_cache"],
               theta=kv["lfm2.rope.freq_base"], eps=kv["lfm2.attention.layer_norm_rms_epsilon"],
               context=kv["lfm2.context_length"])
    model = LFM2(c)
    model.load_state_dict({t: torch.from_numpy(np.array(tensors[g])) for g, t in tensor_names(c)})
    merges = [tuple(m.split(" ")) for m in kv["tokenizer.ggml.merges"]]
    return model.eval(), Tokenizer(kv["tokenizer.ggml.tokens"], merges), kv


def label_ids(tok: Tokenizer) -> tuple[list[int], list[int]]:
    """(route ids, task ids): every label is one token."""
    return [tok.ids[r] for r in ROUTES], [tok.ids["Ġ" + t] for t in TASKS]
