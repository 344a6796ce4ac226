"""Seeded damage: to bytes, to the structure of JSON, to the header of a safetensors file, to what a path leads to."""

from __future__ import annotations

import copy
import gzip
import io
import json
import os
import pickle
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metricopt.runtime.checkpoint import _digest
from metricopt.runtime.sealed_json import digest_of_json

#: Whoever runs what a damaged file says makes this folder in its working directory.
CANARY = "canary-was-touched"
SHELL = f"$(mkdir {CANARY}); `mkdir {CANARY}`; mkdir {CANARY} #"
PYTHON = f"__import__('os').mkdir('{CANARY}')"


class Evil:
    """Unpickling it makes the canary's folder."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (CANARY,)


# --- bytes ----------------------------------------------------------------------------------------


def pickled(draw: random.Random, _: bytes) -> bytes:
    """A pickle, a torch file or a NumPy file that would run code if it were opened as such."""
    kind, stream = draw.randrange(4), io.BytesIO()
    if kind == 0:
        return pickle.dumps(Evil(), protocol=draw.randrange(6))
    if kind == 1:
        torch.save({"weight": Evil()}, stream)
    elif kind == 2:
        np.save(stream, np.array([Evil()], dtype=object), allow_pickle=True)
    else:
        np.savez(stream, phis=np.array([Evil()], dtype=object))
    return stream.getvalue()


def _flipped(draw: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 3, 8))):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _another_digit(draw: random.Random, content: bytes) -> bytes:
    """Damage that still looks right."""
    places = [at for at, byte in enumerate(content) if 48 <= byte < 58]
    if not places:
        return _flipped(draw, content)
    at = draw.choice(places)
    return content[:at] + str((content[at] - 48 + draw.randrange(1, 10)) % 10).encode() + content[at + 1 :]


def _cut(draw: random.Random, content: bytes) -> bytes:
    return content[: draw.randrange(len(content))]


def _without_a_piece(draw: random.Random, content: bytes) -> bytes:
    start = draw.randrange(len(content))
    return content[:start] + content[start + draw.randrange(1, 200) :]


def _piece_twice(draw: random.Random, content: bytes) -> bytes:
    start = draw.randrange(len(content))
    end = start + draw.randrange(1, 400)
    return content[:end] + content[start:]


def _pieces_swapped(draw: random.Random, content: bytes) -> bytes:
    a, b, c = sorted(draw.randrange(len(content) + 1) for _ in range(3))
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def _blanked(draw: random.Random, content: bytes) -> bytes:
    start = draw.randrange(len(content))
    length = min(draw.randrange(1, 600), len(content) - start)
    return content[:start] + draw.choice((b"\0", b"\xff", b" ", b"\n", b"9")) * length + content[start + length :]


def _with_a_tail(draw: random.Random, content: bytes) -> bytes:
    tails = (b"\n", b"\0" * 512, b"{}\n", b"\xef\xbb\xbf", draw.randbytes(40), content[:200], b"]}" * 9)
    return content + draw.choice(tails)


def _with_a_head(draw: random.Random, content: bytes) -> bytes:
    return draw.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\n", b"\0" * 8, b"PK\x03\x04", b"#!/bin/sh\n")) + content


def _other_encoding(draw: random.Random, content: bytes) -> bytes:
    text = content.decode("latin-1")
    return text.encode(draw.choice(("utf-16", "utf-16-be", "utf-32", "utf-8", "utf-8-sig")), errors="replace")


def _something_else(draw: random.Random, content: bytes) -> bytes:
    choices = (
        b"",
        b"\n",
        draw.randbytes(draw.randrange(1, 4000)),
        gzip.compress(content, mtime=0),
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b"null",
        b"NaN",
        b"9" * 5000,
        PYTHON.encode(),
        SHELL.encode(),
        b"\x08\0\0\0\0\0\0\0{}      ",
        b"\xff" * 8 + b"{}",
    )
    return draw.choice(choices)


BYTES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _flipped,
    _flipped,
    _another_digit,
    _another_digit,
    _cut,
    _cut,
    _without_a_piece,
    _piece_twice,
    _pieces_swapped,
    _blanked,
    _with_a_tail,
    _with_a_head,
    _other_encoding,
    _something_else,
    pickled,
)


def damaged(draw: random.Random, content: bytes) -> bytes:
    """`content` with one piece of damage, sometimes two."""
    for _ in range(draw.choice((1, 1, 1, 2))):
        content = draw.choice(BYTES)(draw, content) if content else draw.randbytes(20)
    return content


# --- JSON -----------------------------------------------------------------------------------------


def strange(draw: random.Random) -> Any:
    """A value that JSON can hold and that hardly any reader expects."""
    return draw.choice(
        (
            None,
            True,
            False,
            0,
            -1,
            1,
            2**31,
            2**63,
            10**400,
            -(10**30),
            0.5,
            -0.0,
            1e308,
            float("inf"),
            float("nan"),
            5e-324,
            "",
            "0.5",
            "true",
            "\0",
            "\ud800",
            "a\nb\r\x1b[31mc\u202e",
            "x" * 20_000,
            "../../../../etc/passwd",
            "/etc/passwd",
            "file.py:evil",
            SHELL,
            PYTHON,
            "__class__",
            [],
            {},
            [[]],
            [None],
            {"": None},
            {"__class__": "os.system"},
            list(range(1000)),
            _deep(draw.choice((50, 900))),
        )
    )


def _deep(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


def disturbed(draw: random.Random, value: Any) -> Any:
    """A copy of a JSON value with one node replaced, left out, added, renamed or moved."""
    changed = copy.deepcopy(value)
    places = list(_places(changed))
    if not places:
        return strange(draw)
    holder, key = draw.choice(places)
    what = draw.randrange(8)
    if what <= 3:
        holder[key] = strange(draw)
    elif what == 4:
        del holder[key]
    elif what == 5:
        other, other_key = draw.choice(places)
        holder[key] = copy.deepcopy(other[other_key])
    elif isinstance(holder, dict):
        name = draw.choice(("", "kind", "__class__", "../x", "é\0", "version", "x" * 3000))
        holder[name] = holder.pop(key) if what == 6 else strange(draw)
    else:
        holder.insert(key, strange(draw))
    return changed


def _places(value: Any) -> Any:
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def as_json(draw: random.Random, value: Any) -> bytes:
    """JSON in one of its spellings; sometimes with a name that stands twice."""
    text = json.dumps(value, indent=draw.choice((None, 2)), ensure_ascii=draw.random() < 0.8)
    if text.startswith("{") and draw.random() < 0.1:
        text = '{"kind": 1, ' + text[1:]
    return text.encode("utf-8", errors="surrogatepass")


def resealed(content: dict[str, Any]) -> dict[str, Any]:
    """The same with a digest that fits: what someone makes who knows the format."""
    plain = {name: value for name, value in content.items() if name != "digest"}
    return {**plain, "digest": digest_of_json(plain)}


# --- safetensors ----------------------------------------------------------------------------------


def damaged_header(draw: random.Random, content: bytes) -> bytes:
    """A safetensors file with a disturbed header: dtypes, shapes, offsets, names, or what this package keeps in it."""
    length = struct.unpack("<Q", content[:8])[0]
    header, numbers = json.loads(content[8 : 8 + length]), content[8 + length :]
    if draw.random() < 0.5:
        ours = disturbed(draw, json.loads(header["__metadata__"]["metricopt"]))
        header["__metadata__"]["metricopt"] = as_json(draw, ours).decode("utf-8", errors="replace")
    else:
        header = _disturbed_layout(draw, header)
    text = as_json(draw, header)
    size = draw.choice((len(text), len(text), len(text), len(text) + 7, 2**40, 0, 2**63))
    return struct.pack("<Q", size) + text + numbers


def _disturbed_layout(draw: random.Random, header: dict[str, Any]) -> Any:
    name = draw.choice([name for name in header if name != "__metadata__"])
    dtypes = ("F8_E4M3", "F8_E5M2", "F8_E8M0", "F4", "F6_E2M3", "BOOL", "I8", "U16", "U64", "C64", "F64", "BF16", "X")
    what = draw.randrange(4)
    if what == 0:
        header[name]["dtype"] = draw.choice(dtypes)
    elif what == 1:
        header[name]["shape"] = draw.choice(
            ([0], [-1], [2**40, 2**40], [1.5], [], [1] * 90, header[name]["shape"][::-1])
        )
    elif what == 2:
        header[draw.choice(("", "../../x", "a" * 5000, "metricopt.phi", "x.\0"))] = header.pop(name)
    else:
        header = disturbed(draw, header)
    return header


def rewritten(draw: random.Random, path: Path, change: Callable[[dict[str, Any]], Any]) -> bytes:
    """The file with changed settings or tensors and a digest that fits: nothing but the meaning is wrong."""
    from safetensors import safe_open
    from safetensors.torch import save

    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        header = json.loads(file.metadata()["metricopt"])
    if draw.random() < 0.5:
        header["settings"] = change(header["settings"])
    else:
        name = draw.choice(sorted(tensors))
        tensors[name] = _other_tensor(draw, tensors[name])
    del header["digest"]
    text = json.dumps(header | {"digest": _digest(tensors, header)}, sort_keys=True)
    return save(tensors, metadata={"metricopt": text})


def _other_tensor(draw: random.Random, tensor: torch.Tensor) -> torch.Tensor:
    kinds = (torch.float64, torch.float16, torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn, torch.uint8)
    what = draw.randrange(4)
    if what == 0:
        return tensor.to(draw.choice(kinds))
    if what == 1:
        return torch.full_like(tensor, draw.choice((torch.nan, torch.inf, 1e38)) if tensor.is_floating_point() else -7)
    if what == 2:
        return tensor[None].clone() if draw.random() < 0.5 else tensor.reshape(-1)[: tensor.numel() // 2].clone()
    return torch.zeros(draw.choice(((0,), (3, 0, 2), (1, 1, 1), (5,))))


# --- what a path leads to -------------------------------------------------------------------------


def misplaced(draw: random.Random, path: Path) -> str:
    """Put something that is no file where `path` was; says what."""
    what = draw.choice(("nothing", "folder", "pipe", "zeros", "loop", "dangling", "secret"))
    path.unlink()
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "zeros":
        path.symlink_to("/dev/zero")
    elif what == "loop":
        path.symlink_to(path.name)
    elif what == "dangling":
        path.symlink_to("/nowhere/at/all")
    elif what == "secret":
        path.symlink_to("/etc/passwd")
    return what
