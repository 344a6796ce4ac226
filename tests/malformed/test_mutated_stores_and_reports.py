"""Damaged files of results, summaries of jobs on tables, and reports that nobody told."""

from __future__ import annotations

import json
import random
from typing import Any

from how_many import cases

from .conftest import Reader
from .mutations import as_json, damaged, disturbed, misplaced, resealed


def test_a_damaged_store_is_refused_or_gives_rows(reader: Reader, fresh: Any) -> None:
    for seed in cases(400):
        path = fresh("store.jsonl")
        draw = random.Random(seed)
        if seed % 10 == 0:
            misplaced(draw, path)
        elif seed % 2:
            path.write_bytes(damaged(draw, path.read_bytes()))
        else:
            lines = path.read_bytes().splitlines()
            at = draw.randrange(len(lines))
            lines[at] = as_json(draw, disturbed(draw, json.loads(lines[at]))).replace(b"\n", b" ")
            path.write_bytes(b"\n".join(lines) + b"\n")
        reader.judge(reader.read("store", path), seed)


def test_a_disturbed_story_is_refused_or_can_be_told(reader: Reader, fresh: Any) -> None:
    for seed in cases(480):
        path = fresh("report_data.json")
        draw = random.Random(seed)
        if seed % 3:
            path.write_bytes(as_json(draw, disturbed(draw, json.loads(path.read_bytes()))))
        else:
            path.write_bytes(damaged(draw, path.read_bytes()))
        reader.judge(reader.read("report_data", path), seed)


def test_a_damaged_summary_is_refused_or_is_the_very_same(reader: Reader, fresh: Any) -> None:
    sound = reader.read("summary", fresh("job"))
    assert reader.judge(sound, "sound")
    for seed in cases(320):
        folder = fresh("job")
        draw = random.Random(seed)
        path = folder / "summary.json"
        if seed % 2:
            path.write_bytes(damaged(draw, path.read_bytes()))
        else:
            changed = disturbed(draw, json.loads(path.read_bytes()))
            path.write_bytes(as_json(draw, resealed(changed) if isinstance(changed, dict) else changed))
        reply = reader.read("summary", folder)
        if reader.judge(reply, seed, names=folder.name) and seed % 2:
            assert reply["loaded"] == sound["loaded"], seed
