"""Asks llama.cpp's quantiser (through llama-cpp-python) what it makes of numbers
and of models, to hold Sluice's to it. See quantize.sh.

    quantize.py numbers                 the constants in runtime/quant/peer_test.go
    quantize.py models SLUICE FILE...   each FILE quantised by both to every type

For models it requires that both choose the same type for each tensor, that the
metadata is the same, and that our error is nowhere larger; then it asks both
engines for the likeliest next tokens with our file.
"""

import ctypes
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

import gguf
import llama_cpp
import numpy as np

LIB = next(pathlib.Path(llama_cpp.llama_cpp._base_path).glob("libggml-base.*"))
GGML = ctypes.CDLL(str(LIB))
GGML.ggml_quantize_chunk.restype = ctypes.c_size_t
GGML.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p] + [ctypes.c_int64] * 3 + [ctypes.c_void_p]

# ggml's number, elements and bytes in a block, ggml's name, where halves are.
BLOCKS = {
    "Q4_0": (2, 32, 18, "q4_0", [0]), "Q4_1": (3, 32, 20, "q4_1", [0, 2]),
    "Q5_0": (6, 32, 22, "q5_0", [0]), "Q5_1": (7, 32, 24, "q5_1", [0, 2]),
    "Q8_0": (8, 32, 34, "q8_0", [0]), "Q2_K": (10, 256, 84, "q2_K", [80, 82]),
    "Q3_K": (11, 256, 110, "q3_K", [108]), "Q4_K": (12, 256, 144, "q4_K", [0, 2]),
    "Q5_K": (13, 256, 176, "q5_K", [0, 2]), "Q6_K": (14, 256, 210, "q6_K", [208]),
    "IQ4_NL": (20, 32, 18, "iq4_nl", [0]), "MXFP4": (39, 32, 17, "mxfp4", []),
}
WRITTEN = ["Q8_0", "Q4_0", "Q5_0", "Q6_K", "Q4_1", "Q5_1", "Q4_K", "Q5_K"]
RECIPES = {  # our name -> llama.cpp's file type
    "f16": 1, "bf16": 32, "q8_0": 7, "q6_k": 18, "q5_k_m": 17, "q5_k_s": 16, "q5_1": 9, "q5_0": 8,
    "q4_k_m": 15, "q4_k_s": 14, "q4_1": 3, "q4_0": 2,
}


def quantize(t, x):
    number, elements, size, _, _ = BLOCKS[t]
    out = np.empty(x.size // elements * size, np.uint8)
    GGML.ggml_quantize_init(number)
    cols = min(x.size, 4096)
    GGML.ggml_quantize_chunk(number, x.ctypes.data, out.ctypes.data, 0, x.size // cols, cols, None)
    return out


def dequantize(t, blocks):
    _, elements, size, name, _ = BLOCKS[t]
    out = np.empty(blocks.size // size * elements, np.float32)
    convert = getattr(GGML, "dequantize_row_" + name)
    convert.argtypes, convert.restype = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64], None
    convert(blocks.ctypes.data, out.ctypes.data, out.size)
    return out


def splitmix(n, seed):
    with np.errstate(over="ignore"):
        x = np.uint64(seed) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def weights(n, seed):
    x = splitmix(n, seed)
    parts = [(x >> np.uint64(16 * i)) & np.uint64(0xFFFF) for i in range(4)]
    s = (sum(parts).astype(np.int64) - 131070).astype(np.float32) / np.float32(65536)
    return s * (np.float32(1) + s * s)


def short_hash(a):
    return hashlib.sha256(a.tobytes()).hexdigest()[:16]


def relative(x, y, weight=None):
    x, y = x.astype(np.float64), y.astype(np.float64)
    w = 1 if weight is None else weight
    square = (w * x * x).sum()
    return float(np.sqrt((w * (x - y) ** 2).sum() / square)) if square else 0.0


def numbers():
    for t, (_, _, size, _, halves) in BLOCKS.items():
        blocks = splitmix(64 * size // 8 + 1, 7).view(np.uint8)[: 64 * size].copy().reshape(64, size)
        for h in halves:
            blocks[:, h + 1] &= 0xBF
        print(f"reads   {t:6} {short_hash(dequantize(t, blocks.reshape(-1)))}")
    x = weights(1 << 15, 3)
    for t in WRITTEN:
        blocks = quantize(t, x)
        y = dequantize(t, blocks)
        print(f"writes  {t:6} {short_hash(blocks)} {relative(x, y):.6f} {relative(x, y, np.abs(x.astype(np.float64))):.6f}")


def tensors(path):
    reader = gguf.GGUFReader(path)
    fields = {k: f.contents() for k, f in reader.fields.items() if not k.startswith("GGUF.")}
    return fields, {t.name: t for t in reader.tensors}


def values(t):
    return gguf.quants.dequantize(t.data, t.tensor_type).reshape(-1)


def by_llama(source, target, file_type):
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.nthread = file_type, 2
    if llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), params) != 0:
        raise SystemExit(f"llama.cpp cannot quantise {source}")


def compare(name, original, ours, theirs):
    """Prints a row for each type in the file; returns what differs."""
    fields_a, a = tensors(ours)
    fields_b, b = tensors(theirs)
    _, x = tensors(original)
    wrong = [f"{k}: {fields_a.get(k)!r:.60} is {fields_b.get(k)!r:.60} in llama.cpp's"
             for k in sorted(fields_a.keys() | fields_b.keys()) if fields_a.get(k) != fields_b.get(k)]
    wrong += [f"{k} is not in both" for k in a.keys() ^ b.keys()]
    rows = {}
    for k in a.keys() & b.keys():
        if a[k].tensor_type != b[k].tensor_type or list(a[k].shape) != list(b[k].shape):
            wrong.append(f"{k} is {a[k].tensor_type.name}, {b[k].tensor_type.name} in llama.cpp's")
            continue
        v, va, vb = values(x[k]).astype(np.float64), values(a[k]), values(b[k])
        row = rows.setdefault(a[k].tensor_type.name, [0, 0, 0.0, 0.0, 0.0])
        ea, eb = ((v - va) ** 2).sum(), ((v - vb) ** 2).sum()
        row[0] += 1
        row[1] += np.array_equal(a[k].data, b[k].data)
        row[2] += (v * v).sum()
        row[3] += ea
        row[4] += eb
        if ea > eb * 1.000001:
            wrong.append(f"{k} ({a[k].tensor_type.name}): error {np.sqrt(ea / (v * v).sum()):.6f}, llama.cpp's {np.sqrt(eb / (v * v).sum()):.6f}")
    for t, (n, same, square, ea, eb) in sorted(rows.items()):
        if ea or eb:
            ra, rb = np.sqrt(ea / square), np.sqrt(eb / square)
            print(f"| {name} | {t} | {n} | {same} | {ra:.5f} | {rb:.5f} | {100 * (ra / rb - 1):+.2f} % |")
    return wrong


def by_sluice(sluice, path, tokens, top=10):
    """Returns the likeliest next tokens after each, with their probabilities."""
    out = subprocess.run([sluice, "models", "logits", path, "--tokens", ",".join(map(str, tokens)), "--top", str(top), "--json"],
                         check=True, capture_output=True, text=True).stdout
    return [[(int(t), np.exp(lp)) for t, lp in row] for row in json.loads(out)["positions"]]


def probabilities(path, tokens):
    model = llama_cpp.Llama(str(path), n_ctx=256, n_batch=256, n_threads=2, logits_all=True, verbose=False, flash_attn=False)
    model.eval(tokens)
    scores = np.array(model.scores[: len(tokens)], np.float64)
    scores = np.exp(scores - scores.max(1, keepdims=True))
    return scores / scores.sum(1, keepdims=True)


def answers(sluice, path):
    """Compares what both engines make of a file with what llama.cpp makes of the
    same weights widened to F32, where nothing rounds activations."""
    vocab = len(tensors(path)[0]["tokenizer.ggml.tokens"])
    tokens = [1] + [int(t % vocab) for t in splitmix(63, 5)]
    wide = path.with_name("wide.gguf")
    subprocess.run([sluice, "models", "quantize", path, "--type", "f32", "--allow-requantize", "--force", "-o", wide],
                   check=True, capture_output=True)
    exact, theirs, ours = probabilities(wide, tokens), probabilities(path, tokens), by_sluice(sluice, path, tokens)
    at = [(i, t, p) for i, row in enumerate(ours) for t, p in row]
    return (max(abs(p - exact[i, t]) for i, t, p in at), max(abs(theirs[i, t] - exact[i, t]) for i, t, _ in at),
            sum(row[0][0] != int(exact[i].argmax()) for i, row in enumerate(ours)), int((theirs.argmax(1) != exact.argmax(1)).sum()))


def models(sluice, files):
    failures = 0
    print("| file | type | tensors | same bytes | our error | llama.cpp's | difference |")
    print("|---|---|---|---|---|---|---|")
    notes = []
    for original in map(pathlib.Path, files):
        for recipe, file_type in RECIPES.items():
            with tempfile.TemporaryDirectory() as folder:
                ours, theirs = pathlib.Path(folder, "ours.gguf"), pathlib.Path(folder, "theirs.gguf")
                subprocess.run([sluice, "models", "quantize", original, "--type", recipe, "-o", ours],
                               check=True, capture_output=True)
                by_llama(original, theirs, file_type)
                wrong = compare(f"{original.stem} {recipe}", original, ours, theirs)
                us, them, our_flips, their_flips = answers(sluice, ours)
                notes.append(f"| {original.stem} {recipe} | {us:.4f} | {them:.4f} | {our_flips} | {their_flips} |")
                for w in wrong:
                    failures += 1
                    notes.append(f"WRONG {original.stem} {recipe}: {w}")
    print("\nOur file in both engines, against llama.cpp with the same weights in F32:\n")
    print("| file | largest difference of a probability, Sluice | llama.cpp | likeliest tokens of 64 that differ, Sluice | llama.cpp |")
    print("|---|---|---|---|---|")
    print("\n".join(notes))
    if failures:
        raise SystemExit(1)


if __name__ == "__main__":
    if sys.argv[1:] == ["numbers"]:
        numbers()
    elif len(sys.argv) > 3 and sys.argv[1] == "models":
        models(sys.argv[2], sys.argv[3:])
    else:
        raise SystemExit(__doc__)
