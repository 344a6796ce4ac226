"""Damaged run folders: finished ones that are loaded, unfinished ones that are gone on with."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from how_many import cases
from metricopt.runtime import digest_of_file

from .conftest import Reader
from .mutations import as_json, damaged, damaged_header, disturbed, misplaced, resealed, rewritten

FILES = (
    "outcome.json",
    "report_data.json",
    "rows.jsonl",
    "model.safetensors",
    "value/learned_value.safetensors",
)


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_finished_run_is_refused_or_is_the_very_same(reader: Reader, fresh: Any, name: str) -> None:
    """Digests reach everything: what loads in spite of the damage is what was saved, to the last bit."""
    sound = reader.read("outcome", fresh("finished"))
    assert reader.judge(sound, "sound")
    loaded = 0
    for seed in cases(240):
        folder = fresh("finished")
        draw = random.Random(f"{name} {seed}")
        before = (folder / name).read_bytes()
        (folder / name).write_bytes(damaged(draw, before))
        reply = reader.read("outcome", folder)
        if reader.judge(reply, (name, seed), names=folder.name):
            assert reply["loaded"] == sound["loaded"], (name, seed)
            loaded += 1
    assert loaded < 60  # a blank at the end of some JSON


@pytest.mark.parametrize("name", FILES)
def test_something_that_is_no_file_is_refused(reader: Reader, fresh: Any, name: str) -> None:
    for seed in cases(40):
        folder = fresh("finished")
        misplaced(random.Random(f"{name} {seed}"), folder / name)
        assert not reader.judge(reader.read("outcome", folder), (name, seed), names=folder.name)


@pytest.mark.parametrize("name", ["outcome.json", "report_data.json", "rows.jsonl"])
def test_wrong_values_under_digests_that_fit_are_refused_by_name(reader: Reader, fresh: Any, name: str) -> None:
    """What someone makes who knows the format: here every value is checked, not only the digest."""
    for seed in cases(240):
        folder = fresh("finished")
        draw = random.Random(f"{name} {seed}")
        figures = json.loads((folder / "outcome.json").read_text())
        if name == "outcome.json":
            changed = disturbed(draw, figures)
            if isinstance(changed, dict):
                changed = resealed(changed)
            (folder / name).write_bytes(as_json(draw, changed))
        else:
            _disturb(draw, folder / name)
            figures["files"][name] = digest_of_file(folder / name)
            (folder / "outcome.json").write_text(json.dumps(resealed(figures)))
        reader.judge(reader.read("outcome", folder), (name, seed), names=folder.name)


def test_saved_weights_that_lie_about_themselves_are_refused(reader: Reader, fresh: Any) -> None:
    for seed in cases(400):
        folder = fresh("finished")
        draw = random.Random(seed)
        path = folder / "model.safetensors"
        content = path.read_bytes()
        path.write_bytes(
            damaged_header(draw, content) if seed % 2 else rewritten(draw, path, lambda s, d=draw: disturbed(d, s))
        )
        figures = json.loads((folder / "outcome.json").read_text())
        figures["files"][path.name] = digest_of_file(path)
        (folder / "outcome.json").write_text(json.dumps(resealed(figures)))
        reader.judge(reader.read("outcome", folder), seed, names=folder.name)


def test_a_run_goes_on_from_sound_answers_only(reader: Reader, fresh: Any) -> None:
    """Damage to an unfinished run: it is refused, or what is kept of it are answers that were given."""
    folder = _unfinished(fresh)
    sound = reader.read("run", folder, in_full=True)
    assert reader.judge(sound, "sound")
    assert len(sound["found"]) == 30
    for seed in cases(1200):
        folder = _unfinished(fresh)
        draw = random.Random(seed)
        path = folder / draw.choice(("answers.jsonl", "answers.jsonl", "run.json", ".lock"))
        if draw.random() < 0.1:
            misplaced(draw, path)
        else:
            path.write_bytes(damaged(draw, path.read_bytes()))
        reply = reader.read("run", folder, in_full=True)
        if reader.judge(reply, (path.name, seed), names=folder.name):
            assert all(row in sound["found"] for row in reply["found"]), (path.name, seed)


def test_a_card_with_wrong_values_is_refused(reader: Reader, fresh: Any) -> None:
    for seed in cases(320):
        folder = _unfinished(fresh)
        draw = random.Random(seed)
        card = folder / "run.json"
        changed = disturbed(draw, json.loads(card.read_text()))
        card.write_bytes(as_json(draw, resealed(changed) if isinstance(changed, dict) else changed))
        for kind in ("identity", "run"):
            reader.judge(reader.read(kind, folder), (kind, seed), names=folder.name)


def test_a_damaged_run_that_goes_on_ends_where_the_undamaged_one_does(reader: Reader, fresh: Any) -> None:
    ends = reader.read("resume", _unfinished(fresh))
    assert reader.judge(ends, "sound")
    for seed in cases(120):
        folder = _unfinished(fresh)
        draw = random.Random(seed)
        answers = folder / "answers.jsonl"
        lines = answers.read_bytes().splitlines(keepends=True)
        choices = (lines[: draw.randrange(30)], draw.sample(lines, 12), lines + lines[:3], [*lines, lines[0][:20]])
        answers.write_bytes(b"".join(draw.choice(choices)))
        reply = reader.read("resume", folder)
        if reader.judge(reply, seed):
            assert reply["loaded"] == ends["loaded"], seed


def _unfinished(fresh: Any) -> Path:
    folder: Path = fresh("unfinished")
    identity = json.loads((folder / "run.json").read_text())["identity"]
    folder.with_suffix(".identity").write_text(json.dumps(identity))
    return folder


def _disturb(draw: random.Random, path: Path) -> None:
    if path.suffix == ".json":
        path.write_bytes(as_json(draw, disturbed(draw, json.loads(path.read_text()))))
        return
    lines = path.read_text().splitlines()
    at = draw.randrange(len(lines))
    lines[at] = as_json(draw, disturbed(draw, json.loads(lines[at]))).decode("utf-8", errors="surrogateescape")
    path.write_text("\n".join(lines), errors="surrogateescape")
