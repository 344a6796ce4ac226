"""Damaged CSV files, and CSV files that are something else."""

from __future__ import annotations

import random
from typing import Any

import pytest

from how_many import cases

from .conftest import Reader
from .mutations import PYTHON, SHELL, damaged, misplaced


@pytest.mark.parametrize("part", range(2))
def test_a_damaged_table_is_refused_or_gives_rows(reader: Reader, fresh: Any, part: int) -> None:
    for seed in cases(900):
        path = fresh("table.csv")
        draw = random.Random(1000 * part + seed)
        if seed % 12 == 0:
            misplaced(draw, path)
        elif seed % 3:
            path.write_bytes(damaged(draw, path.read_bytes()))
        else:
            path.write_bytes(_with_strange_cells(draw, path.read_bytes()))
        reader.judge(reader.read("table", path), (part, seed))


def _with_strange_cells(draw: random.Random, content: bytes) -> bytes:
    cells = (
        *("", '"', '""', "'", ",", ";" * 40, "\t", "\\", "NaN", "inf", "-inf", "1e999", "9" * 5000, "0x10", "1_000"),
        *("=cmd|' /C calc'!A0", "@SUM(1+1)", SHELL, PYTHON, "file.py:evil", "../../etc/passwd", "\0", "\x1b[31m"),
        *("é", "\u202e", "x" * 200_000, "2020-13-45", "10000-01-01", "nan" * 50, "True", '"a\nb"', '"a'),
    )
    lines = content.decode().splitlines()
    for _ in range(draw.choice((1, 1, 2, 20))):
        at = draw.choice((0, draw.randrange(len(lines))))
        parts = lines[at].split(",")
        parts[draw.randrange(len(parts))] = draw.choice(cells)
        lines[at] = ",".join(parts)
    return draw.choice(("\n", "\r\n", "\r")).join(lines).encode()
