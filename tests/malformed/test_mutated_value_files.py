"""Damaged value functions, observations, trajectories and table networks."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from how_many import cases

from .conftest import Reader
from .mutations import damaged, damaged_header, disturbed, misplaced, rewritten

#: What is read, the example, and the file in it that is damaged.
THINGS = (
    ("learned", "learned", "learned_value.safetensors"),
    ("function", "value.safetensors", ""),
    ("trajectories", "trajectories.safetensors", ""),
    ("table model", "table_model.safetensors", ""),
)


@pytest.mark.parametrize(("kind", "example", "inside"), THINGS)
def test_a_damaged_file_is_refused_or_is_the_very_same(
    reader: Reader, fresh: Any, kind: str, example: str, inside: str
) -> None:
    sound = reader.read(kind, fresh(example))
    assert reader.judge(sound, "sound")
    for seed in cases(280):
        path = fresh(example)
        draw = random.Random(f"{kind} {inside} {seed}")
        file = path / inside if inside else path
        if seed % 10 == 0:
            misplaced(draw, file)
        else:
            change = damaged_header if seed % 3 == 0 else damaged
            file.write_bytes(change(draw, file.read_bytes()))
        reply = reader.read(kind, path)
        if reader.judge(reply, (kind, inside, seed), names=path.name):
            assert reply["loaded"] == sound["loaded"], (kind, inside, seed)


@pytest.mark.parametrize(("kind", "example", "inside"), THINGS)
def test_wrong_settings_and_tensors_under_a_digest_that_fits_are_refused(
    reader: Reader, fresh: Any, kind: str, example: str, inside: str
) -> None:
    for seed in cases(280):
        path = fresh(example)
        draw = random.Random(f"{kind} {inside} {seed}")
        file: Path = path / inside if inside else path
        file.write_bytes(rewritten(draw, file, lambda settings, d=draw: disturbed(d, settings)))
        reader.judge(reader.read(kind, path), (kind, inside, seed))
