from __future__ import annotations

import hashlib
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metricopt._errors import CheckpointError, ConfigError
from metricopt.runtime import ResultStore, RunKey


def _key(seed: int = 0, **settings: object) -> RunKey:
    return RunKey(task="a9a", method="cma", metric="f1", seed=seed, settings=settings)


def test_rows_come_back_as_they_were_appended(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "new" / "runs.jsonl")
    assert store.rows() == []
    assert _key() not in store
    assert store.append(_key(0, calls=100), {"utility": 0.75, "history": [1, None, "ü\n"]})
    assert store.append(_key(1, calls=100), {"utility": 0.5})
    first, second = ResultStore(store.path).rows()
    assert first == {
        "key": _key(0, calls=100).digest,
        "task": "a9a",
        "method": "cma",
        "metric": "f1",
        "seed": 0,
        "settings": {"calls": 100},
        "utility": 0.75,
        "history": [1, None, "ü\n"],
    }
    assert second["seed"] == 1
    assert _key(0, calls=100) in store
    assert _key(0, calls=101) not in store
    assert len(store.path.read_text().splitlines()) == 2


def test_the_first_result_of_a_run_stands(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "runs.jsonl")
    assert store.append(_key(), {"utility": 0.25})
    before = store.path.read_bytes()
    assert not store.append(_key(), {"utility": 0.99})
    assert store.path.read_bytes() == before


@given(
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.booleans() | st.none(), max_size=5)
)
def test_the_order_of_settings_does_not_matter(settings: dict[str, object]) -> None:
    forward, backward = dict(settings), dict(reversed(settings.items()))
    assert _key(0).digest == RunKey(task="a9a", method="cma", metric="f1", seed=0).digest
    keys = [RunKey(task="t", method="m", metric="f", seed=0, settings=s) for s in (forward, backward)]
    assert keys[0].digest == keys[1].digest


def test_every_field_of_a_key_matters_and_the_digest_is_stable() -> None:
    fields = {"task": "a9a", "method": "cma", "metric": "f1", "seed": 0, "settings": {"calls": 1}}
    other = {"task": "b", "method": "b", "metric": "b", "seed": 1, "settings": {"calls": 2}}
    digests = {RunKey(**{**fields, name: value}).digest for name, value in other.items()}  # type: ignore[arg-type]
    base = RunKey(**fields).digest  # type: ignore[arg-type]
    assert len(digests | {base}) == 6
    # Written down once: a change of the digest would make every stored run a stranger.
    text = '{"method": "cma", "metric": "f1", "seed": 0, "settings": {"calls": 1}, "task": "a9a"}'
    assert base == hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_torn_last_line_is_left_out_with_a_message_and_repaired_by_the_next_append(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, cut: int
) -> None:
    store = ResultStore(tmp_path / "runs.jsonl")
    store.append(_key(0), {"utility": 0.5})
    whole = store.path.read_bytes()
    store.append(_key(1), {"utility": 0.25})
    with store.path.open("r+b") as file:
        file.truncate(len(whole) + cut)
    with caplog.at_level(logging.WARNING):
        assert [row["seed"] for row in store.rows()] == [0]
    assert f"is torn ({cut} bytes, a writer was stopped in the middle): that run counts as not finished" in caplog.text
    assert len(store.path.read_bytes()) == len(whole) + cut  # reading changes nothing
    assert _key(1) not in store
    assert store.append(_key(1), {"utility": 0.125})
    caplog.clear()
    assert [row["utility"] for row in store.rows()] == [0.5, 0.125]
    assert not caplog.records


def test_a_row_that_lost_only_its_end_of_line_is_kept(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "runs.jsonl")
    store.append(_key(0), {"utility": 0.5})
    store.path.write_bytes(store.path.read_bytes().rstrip(b"\n"))
    assert _key(0) in store
    store.append(_key(1), {"utility": 0.25})
    assert [row["utility"] for row in store.rows()] == [0.5, 0.25]


@pytest.mark.parametrize("line", [b"not json\n", b"[1, 2]\n", b'{"seed": 0}\n', b"\xff\xfe\n", b"\n"])
def test_a_damaged_line_inside_the_file_is_an_error_and_the_file_is_left_alone(tmp_path: Path, line: bytes) -> None:
    store = ResultStore(tmp_path / "runs.jsonl")
    store.append(_key(0), {"utility": 0.5})
    content = store.path.read_bytes() + line + store.path.read_bytes()
    store.path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"line 2 of .*runs\.jsonl is not a row of results"):
        store.rows()
    with pytest.raises(CheckpointError, match="line 2"):
        store.append(_key(1), {"utility": 0.5})
    assert store.path.read_bytes() == content


@pytest.mark.parametrize("value", [float("nan"), float("inf"), torch.tensor(1.0), {1, 2}])
def test_what_json_cannot_hold_is_refused_before_anything_is_written(tmp_path: Path, value: object) -> None:
    store = ResultStore(tmp_path / "runs.jsonl")
    with pytest.raises(ConfigError, match="a result must be JSON .* NaN into None"):
        store.append(_key(), {"utility": value})
    with pytest.raises(ConfigError, match="the key of a run must be JSON"):
        store.append(_key(0, value=value), {"utility": 0.5})
    assert not store.path.exists()


def test_a_result_may_not_overwrite_the_columns_of_its_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"may not use the names of its key, got \['key', 'seed'\]"):
        ResultStore(tmp_path / "runs.jsonl").append(_key(), {"seed": 1, "key": "x"})


APPEND_MANY = """
import sys
from metricopt.runtime import ResultStore, RunKey
path, who, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for seed in range(count):
    for settings in ({"who": who}, {"who": "both"}):
        key = RunKey(task="a9a", method="cma", metric="f1", seed=seed, settings=settings)
        ResultStore(path).append(key, {"padding": "x" * 5000})
"""


def test_processes_that_append_at_once_lose_and_repeat_nothing(tmp_path: Path) -> None:
    path, count = tmp_path / "runs.jsonl", 20
    command = [sys.executable, "-c", APPEND_MANY, str(path)]
    workers = [subprocess.Popen([*command, str(who), str(count)]) for who in range(2)]
    assert [worker.wait() for worker in workers] == [0, 0]
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(rows) == 3 * count
    assert len({row["key"] for row in rows}) == 3 * count
