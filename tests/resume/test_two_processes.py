"""One folder, two processes: the second is refused at once, the first goes on as if nothing had been."""

from __future__ import annotations

from pathlib import Path

from .conftest import Runs, Whole, kept_in, result_of


def test_the_second_is_refused_and_the_first_is_not_disturbed(runs: Runs, whole: Whole, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert runs.ask("begin", folder=str(folder), hold=50) == {"held": True}
    before = {path: path.read_bytes() for path in folder.rglob("*")}
    holder = before[folder / ".lock"].decode()
    second = runs.run(folder)
    kind, message = second["error"]
    assert kind == "RunLocked"
    assert f"in use by another process (number {holder})" in message
    assert "choose another folder" in message
    assert second["asked"] == 0
    assert {path: path.read_bytes() for path in folder.rglob("*")} == before
    first = runs.ask("release")
    assert first["finished"]
    assert first["asked"] == whole.questions
    assert result_of(folder) == whole.result


def test_a_killed_first_leaves_the_folder_to_the_second(runs: Runs, whole: Whole, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert runs.ask("begin", folder=str(folder), hold=50) == {"held": True}
    assert runs.ask("kill")["killed"]
    assert kept_in(folder) == 49
    second = runs.run(folder)
    assert second["finished"]
    assert second["asked"] == whole.questions - 49
    assert result_of(folder) == whole.result


def test_a_finished_run_is_repeated_without_a_question(runs: Runs, whole: Whole, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert runs.run(folder)["asked"] == whole.questions
    again = runs.run(folder)
    assert again["finished"]
    assert again["asked"] == 0
    assert result_of(folder) == whole.result
