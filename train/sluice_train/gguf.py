"""GGUF v3: a writer and a reader, for the types nano uses (F32, Q8_0)."""
import struct
from pathlib import Path

import numpy as np

U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
TENSOR_F32, TENSOR_Q8_0 = 0, 8
ALIGN = 32


def _string(s: str) -> bytes:
    b = s.encode()
    return struct.pack("<Q", len(b)) + b


def _scalar(vtype: int, v) -> bytes:
    return _string(v) if vtype == STRING else struct.pack({U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}[vtype], v)


def q8_0(w: np.ndarray) -> bytes:
    """Blocks of 32: f16 scale max|x|/127, then 32 signed bytes, rounded half away from zero."""
    x = np.ascontiguousarray(w, dtype=np.float32).reshape(-1, 32)
    d = np.abs(x).max(1, keepdims=True) / np.float32(127)
    inv = np.where(d > 0, 1 / np.where(d > 0, d, 1), 0)
    y = x * inv
    q = (np.sign(y) * np.floor(np.abs(y) + np.float32(0.5))).astype(np.int8)
    out = np.empty((len(x), 34), np.uint8)
    out[:, :2] = d.astype(np.float16).view(np.uint8)
    out[:, 2:] = q.view(np.uint8)
    return out.tobytes()


def unq8_0(data: bytes, shape) -> np.ndarray:
    b = np.frombuffer(data, np.uint8).reshape(-1, 34)
    d = b[:, :2].copy().view(np.float16).astype(np.float32)
    return (d * b[:, 2:].copy().view(np.int8)).reshape(shape)


def write(path: Path, kv: list[tuple[str, int, object]], tensors: dict[str, tuple[np.ndarray, int]]):
    """kv: (key, vtype, value); an array's vtype is (ARRAY, element type). tensors: name -> (array in torch's shape, type)."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(kv))
    for k, vtype, v in kv:
        head += _string(k)
        if isinstance(vtype, tuple):
            head += struct.pack("<IIQ", ARRAY, vtype[1], len(v)) + b"".join(_scalar(vtype[1], x) for x in v)
        else:
            head += struct.pack("<I", vtype) + _scalar(vtype, v)
    body, infos = bytearray(), b""
    for name, (w, t) in tensors.items():
        infos += _string(name) + struct.pack("<I", w.ndim) + struct.pack(f"<{w.ndim}Q", *reversed(w.shape))
        infos += struct.pack("<IQ", t, len(body))
        body += q8_0(w) if t == TENSOR_Q8_0 else np.ascontiguousarray(w, dtype="<f4").tobytes()
        body += bytes(-len(body) % ALIGN)
    head += infos
    Path(path).write_bytes(head + bytes(-len(head) % ALIGN) + body)


def read(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """(key -> value, tensor name -> float32 array), the inverse of write."""
    b, at = Path(path).read_bytes(), 4

    def take(fmt):
        nonlocal at
        v = struct.unpack_from(fmt, b, at)
        at += struct.calcsize(fmt)
        return v if len(v) > 1 else v[0]

    def string():
        nonlocal at
        n = take("<Q")
        s = b[at:at + n].decode()
        at += n
        return s

    def value(t):
        if t == STRING:
            return string()
        if t == ARRAY:
            e, n = take("<IQ")
            return [value(e) for _ in range(n)]
        return take({U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}[t])

    assert b[:4] == b"GGUF" and take("<I") == 3
    n_tensors, n_kv = take("<QQ")
    kv = {}
    for _ in range(n_kv):
        k = string()
        kv[k] = value(take("<I"))
    infos = []
    for _ in range(n_tensors):
        name, nd = string(), take("<I")
        ne = [take("<Q") for _ in range(nd)]
        t, off = take("<IQ")
        infos.append((name, ne[::-1], t, off))
    base = at + -at % ALIGN
    out = {}
    for name, shape, t, off in infos:
        n = int(np.prod(shape))
        if t == TENSOR_F32:
            out[name] = np.frombuffer(b, "<f4", n, base + off).reshape(shape)
        else:
            out[name] = unq8_0(b[base + off:base + off + n // 32 * 34], shape)
    return kv, out
