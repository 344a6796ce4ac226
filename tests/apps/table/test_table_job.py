"""The job on a table: honest parts, one result however it is run, and a folder that needs no pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from metricopt import get_metric
from metricopt._errors import CheckpointError, ConfigError, DataError, MetricError, RunLocked
from metricopt.apps.table import network as table_network
from metricopt.apps.table.file import read_table
from metricopt.apps.table.job import MODEL, TableResult, optimize_table
from metricopt.apps.table.metric import table_metric
from metricopt.apps.table.model import TableModel, TargetScale
from metricopt.apps.table.parts import part_rows
from metricopt.apps.table.predict import predict_table, write_predictions
from metricopt.apps.table.request import TableRequest, default_folder
from metricopt.apps.table.summary import TableSummary
from metricopt.apps.table.target import settle_target
from people import people

QUICK: dict[str, Any] = {"method": ("threshold",), "calls": 70, "drop": ("pay",)}


def request(path: Path, **choices: Any) -> TableRequest:
    return TableRequest(**({"path": path, "target": "income", "metric": "f1"} | QUICK | choices))


def numbers(path: Path, **choices: Any) -> TableRequest:
    wanted = {"target": "pay", "metric": "neg_mean_absolute_error", "bounds": (0.0, 60.0), "drop": ("income",)}
    return request(path, **(wanted | {"method": ("random_search",)} | choices))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return people(tmp_path_factory.mktemp("table") / "people.csv")


@pytest.fixture(scope="module")
def done(table: Path, tmp_path_factory: pytest.TempPathFactory) -> TableResult:
    return optimize_table(request(table), run=tmp_path_factory.mktemp("done") / "run")


def without_time(summary: TableSummary) -> dict[str, object]:
    return {name: getattr(summary, name) for name in summary.__dataclass_fields__ if name != "seconds"}


def test_the_figures_are_those_of_the_saved_model_on_the_test_rows(table: Path, done: TableResult) -> None:
    """Computed again from the files alone: the test rows, the saved weights before and after, the metric."""
    wanted, summary = request(table), done.summary
    frame = read_table(table).frame
    target = settle_target(frame["income"], "income", task="auto", positive=None)
    parts = part_rows(target, wanted)
    rows, truth = frame.iloc[parts.test.numpy()], target.values[parts.test]
    assert summary.test is not None
    assert summary.test.rows == len(parts.test) == 120
    inputs = rows.drop(columns=["income", "pay"])
    for name, value in (("trained.safetensors", summary.test.before), (MODEL, summary.test.after)):
        scores = TableModel.load(done.folder / name).outputs(inputs)
        assert get_metric("f1")(scores, truth) == pytest.approx(value, abs=1e-6)


def test_the_parts_are_disjoint_and_whole(table: Path) -> None:
    target = settle_target(read_table(table).frame["income"], "income", task="auto", positive=None)
    parts = part_rows(target, request(table))
    every = torch.cat([parts.train, parts.stop, parts.search, parts.acceptance, parts.test])
    assert torch.equal(every.sort().values, torch.arange(600))
    share = target.values.double().mean()
    for rows in (parts.train, parts.search, parts.acceptance, parts.test):
        assert abs(float(target.values[rows].double().mean() - share)) < 0.02


def test_a_finished_run_gives_its_result_without_work(
    table: Path, done: TableResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metricopt.apps.table.job.optimize", None)
    again = optimize_table(request(table), run=done.folder)
    assert (again.summary, again.again, done.again) == (done.summary, True, False)


def test_stopped_anywhere_it_goes_on_to_the_same_result(
    table: Path, done: TableResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after the training, in the search, and on the test rows; the network is trained once."""
    run, trainings, real = tmp_path / "run", [], table_network.train_table_net
    monkeypatch.setattr(table_network, "train_table_net", lambda *a, **k: (trainings.append(1), real(*a, **k))[1])
    for stopped in ("metricopt.apps.table.job.optimize", "metricopt.apps.table.job.paired_test"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(stopped, _interrupted)
            optimize_table(request(table), run=run)
        assert not (run / "summary.json").exists()
    result = optimize_table(request(table), run=run)
    assert without_time(result.summary) == without_time(done.summary)
    assert (run / MODEL).read_bytes() == (done.folder / MODEL).read_bytes()
    assert len(trainings) == 1


def _interrupted(*arguments: object, **choices: object) -> None:
    raise KeyboardInterrupt


def test_the_positive_class_is_a_matter_of_names(table: Path, tmp_path: Path) -> None:
    """Naming the first class positive gives what renaming it to the last one gives."""
    first = optimize_table(request(table, positive="high"), run=tmp_path / "first")
    renamed = people(tmp_path / "people.csv", labels=("low", "very high"))
    last = optimize_table(request(renamed), run=tmp_path / "last")
    assert first.summary.positive == "high"
    assert first.summary.classes == ("low", "high")
    assert (first.summary.acceptance, first.summary.test) == (last.summary.acceptance, last.summary.test)
    found, other = predict_table(first.folder, table), predict_table(last.folder, renamed)
    assert (found["income"] == "high").equals(other["income"] == "very high")
    assert found["probability of high"].tolist() == pytest.approx(other["probability of very high"].tolist())


def test_a_regression_is_measured_in_units_of_the_column(table: Path, tmp_path: Path) -> None:
    result = optimize_table(numbers(table), run=tmp_path / "run")
    summary, frame = result.summary, read_table(table).frame
    assert (summary.task, summary.classes, summary.higher_is_better) == ("regression", (), False)
    target = settle_target(frame["pay"], "pay", task="auto", positive=None)
    test = part_rows(target, numbers(table)).test
    predicted = predict_table(result.folder, table)["pay"].to_numpy()[test.numpy()]
    assert summary.test is not None
    error = abs(predicted - frame["pay"].to_numpy()[test.numpy()]).mean()
    assert error == pytest.approx(summary.test.after, rel=1e-5)
    assert 3 < summary.test.after < 15


COST = """
def twice(predicted, truth):
    return 2 * abs(predicted - truth).mean()
"""


@pytest.mark.parametrize("metric", ["mae", "neg_mean_absolute_error", "cost.py:twice"])
def test_the_range_of_a_metric_of_numbers_comes_from_the_training_rows(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metric: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cost.py").write_text(COST)
    wanted = numbers(table, metric=metric, bounds=None, higher_is_better=False)
    target = settle_target(read_table(table).frame["pay"], "pay", task="auto", positive=None)
    parts = part_rows(target, wanted)
    found = table_metric(wanted, target, parts)
    values, factor = target.values[parts.train], 2 if ":" in metric else 1
    typical = factor * float((values - values.mean()).abs().mean())
    assert found.metric.bounds == pytest.approx((0.0, 2 * typical))
    assert (found.metric.name, found.metric.higher_is_better) == (metric.rpartition(":")[2], False)
    assert found.metric(torch.full((3, 1), 1e6), torch.zeros(3)) == found.metric.bounds[1]
    scale = TargetScale.fit(values)
    rows = target.values[parts.test]
    at_the_mean = found.metric(torch.zeros(len(rows), 1), scale.to_standard(rows))
    assert at_the_mean == pytest.approx(factor * float((rows - values.mean()).abs().mean()), rel=1e-5)
    assert f" to {2 * typical:.4g}, twice as far" in found.notes[-1]
    signed = "neg_mean_absolute_error is shown as mean_absolute_error, without its sign: lower is better."
    assert (signed in found.notes) is (metric == "neg_mean_absolute_error")


def test_a_regression_needs_no_range(table: Path, tmp_path: Path) -> None:
    said: list[str] = []
    stated = optimize_table(numbers(table), run=tmp_path / "stated")
    result = optimize_table(numbers(table, metric="mae", bounds=None), run=tmp_path / "run", say=said.append)
    assert result.summary.metric == "mae" and stated.summary.test is not None and result.summary.test is not None
    assert result.summary.test.before == pytest.approx(stated.summary.test.before)
    assert tuple(said) == result.summary.notes
    assert said[-1].startswith("mae goes from 0, a perfect prediction, to ")


def test_a_metric_of_numbers_that_minds_a_constant_works_in_a_stated_range(table: Path) -> None:
    wanted = numbers(table, metric="statistics:correlation", bounds=(-1.0, 1.0), higher_is_better=True)
    target = settle_target(read_table(table).frame["pay"], "pay", task="auto", positive=None)
    found = table_metric(wanted, target, part_rows(target, wanted))
    assert (found.metric.bounds, found.notes, found.first_call) == ((-1.0, 1.0), (), None)


RATE = """
printf x >> '{log}'
if [ -e '{broken}' ]; then echo no licence >&2; exit 3; fi
echo 0.5
"""


@pytest.fixture
def rated(table: Path, tmp_path: Path) -> TableRequest:
    """A program that notes each call in `calls`, and fails while there is a file `broken`."""
    (tmp_path / "rate.sh").write_text(RATE.format(log=tmp_path / "calls", broken=tmp_path / "broken"))
    return request(table, metric=f"cmd:sh {tmp_path / 'rate.sh'} {{file}}", higher_is_better=True)


def calls_in(folder: Path) -> int:
    return len((folder / "calls").read_text())


def test_a_program_is_called_once_before_a_network_is_trained(
    rated: TableRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure leaves no folder; the call is none of the budget, and a run that goes on does not make it again."""
    run = tmp_path / "run"
    (tmp_path / "broken").touch()
    with monkeypatch.context() as patch, pytest.raises(MetricError, match="(?s)attempt 3 of 3.*no licence"):
        patch.setattr(table_network, "train_table_net", None)
        optimize_table(rated, run=run)
    assert calls_in(tmp_path) == 3 and not run.exists()
    (tmp_path / "broken").unlink()
    for stopped in ("metricopt.apps.table.job.trained_model", "metricopt.apps.table.job.optimize"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(stopped, _interrupted)
            optimize_table(rated, run=run)
        assert calls_in(tmp_path) == 3 + 1
    result = optimize_table(rated, run=run)
    assert calls_in(tmp_path) == 3 + 1 + result.summary.calls + result.summary.test_calls
    assert result.summary.calls <= 70


def test_a_folder_of_another_run_is_refused_before_a_program_is_called(rated: TableRequest, done: TableResult) -> None:
    with pytest.raises(ConfigError, match="holds another run"):
        optimize_table(rated, run=done.folder)
    assert not (Path(rated.metric.split()[1]).parent / "calls").exists()


def test_without_test_rows_there_is_no_figure_of_them(table: Path, tmp_path: Path) -> None:
    result = optimize_table(request(table, test=0.0), run=tmp_path / "run")
    assert (result.summary.test, result.summary.test_calls) == (None, 0)
    assert TableSummary.load(result.folder) == result.summary


def test_predictions_do_not_depend_on_what_else_the_file_holds(table: Path, done: TableResult, tmp_path: Path) -> None:
    whole = predict_table(done.folder, table)
    assert list(whole.columns) == ["income", "probability of high", "probability of low"]
    assert whole.filter(like="probability").sum(axis=1).tolist() == pytest.approx([1.0] * 600)
    frame = read_table(table).frame
    frame[["since", "job", "hours", "age"]].iloc[:50].assign(more=1).to_csv(tmp_path / "new.csv", index=False)
    part = predict_table(done.folder, tmp_path / "new.csv")
    pd.testing.assert_frame_equal(part, whole.iloc[:50])
    write_predictions(part, tmp_path / "out.csv")
    assert pd.read_csv(tmp_path / "out.csv")["income"].tolist() == part["income"].tolist()


def test_a_column_that_is_missing_is_named(table: Path, done: TableResult, tmp_path: Path) -> None:
    read_table(table).frame.rename(columns={"hours": "hour"}).to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(DataError, match="the input of the model 'hours' is not in new.csv; did you mean 'hour'"):
        predict_table(done.folder, tmp_path / "new.csv")


def test_levels_that_look_like_numbers_in_a_new_file_stay_levels(tmp_path: Path) -> None:
    def grades(row: list[str]) -> list[str]:
        return [*row[:3], str(int(row[0] or 0) % 3 + 1) if int(row[0]) % 5 else "B", *row[4:]]

    path = people(tmp_path / "people.csv", change=grades)
    result = optimize_table(request(path), run=tmp_path / "run")
    text = [line for line in path.read_text().splitlines() if line.split(",")[3] != "B"]
    (tmp_path / "new.csv").write_text("\n".join(text) + "\n")
    found = predict_table(result.folder, tmp_path / "new.csv")
    kept = [n for n, line in enumerate(path.read_text().splitlines()[1:]) if line.split(",")[3] != "B"]
    wanted = predict_table(result.folder, path).iloc[kept].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, wanted)


def test_a_default_folder_is_found_again_and_never_shared(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "people-f1").mkdir(parents=True)
    (tmp_path / "runs" / "people-f1" / "mine.txt").write_text("not a run")
    first, other = optimize_table(request(table)), optimize_table(request(table, seed=1))
    assert [first.folder.name, other.folder.name] == ["people-f1-2", "people-f1-3"]
    again = optimize_table(request(table, seed=1))
    assert (again.folder, again.again) == (other.folder, True)


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("f1", "runs/people-f1"),
        ("some/where.py:my_cost", "runs/people-my_cost"),
        ("cmd:./rate.sh --fast {file}", "runs/people-rate"),
        ("https://host:80/rate?key=1", "runs/people-host-80"),
    ],
)
def test_a_default_folder_is_named_after_table_and_metric(metric: str, name: str) -> None:
    assert default_folder("data/people.csv.gz", metric).as_posix() == name


def test_changed_code_of_a_metric_is_another_run(table: Path, tmp_path: Path) -> None:
    code, run = tmp_path / "cost.py", tmp_path / "run"
    code.write_text("def cost(s, t): return ((s > 0) != t).mean()\n")
    wanted = request(table, metric=f"{code}:cost", higher_is_better=False)
    optimize_table(wanted, run=run)
    code.write_text("def cost(s, t): return 0.5 * ((s > 0) != t).mean()\n")
    with pytest.raises(ConfigError, match="holds another run: metric_code was"):
        optimize_table(wanted, run=run)


def test_a_held_folder_is_refused(table: Path, tmp_path: Path) -> None:
    def begun(folder: Path) -> None:
        with pytest.raises(RunLocked):
            optimize_table(request(table), run=folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        optimize_table(request(table), run=tmp_path / "run", begun=begun)


def test_a_metric_that_fails_half_way_can_be_mended_and_goes_on(table: Path, tmp_path: Path) -> None:
    """Outside the code: a file that the metric looks at."""
    code, broken = tmp_path / "cost.py", tmp_path / "broken"
    code.write_text(
        f"import pathlib\ncalls = []\n\ndef cost(s, t):\n    calls.append(1)\n"
        f"    if len(calls) > 20 and pathlib.Path({str(broken)!r}).exists(): raise OSError('disk is full')\n"
        "    return ((s > 0) != t).mean()\n"
    )
    wanted = request(table, metric=f"{code}:cost", higher_is_better=False)
    broken.touch()
    with pytest.raises(MetricError, match="disk is full"):
        optimize_table(wanted, run=tmp_path / "run")
    broken.unlink()
    mended = optimize_table(wanted, run=tmp_path / "run")
    whole = optimize_table(wanted, run=tmp_path / "whole")
    assert without_time(mended.summary) == without_time(whole.summary)


@pytest.mark.parametrize(
    ("choices", "complaint"),
    [
        ({"target": "incom"}, "the target 'incom' is not in people.csv; did you mean 'income'"),
        ({"drop": ("Pay",)}, "did you mean 'pay'"),
        ({"drop": ("age", "hours", "job", "since", "pay")}, "no column to predict 'income' from"),
        ({"metric": "f11"}, "did you mean 'f1'"),
        ({"metric": "math:nothing", "higher_is_better": True}, "math has no 'nothing'"),
        ({"metric": "math:hypot", "higher_is_better": True}, "metric 'hypot' raised TypeError"),
        ({"metric": "r2", "bounds": (-1.0, 1.0)}, "rates numbers, but the target 'income' holds classes"),
        ({"target": "pay", "drop": ()}, "rates classes, but the target 'pay' holds"),
        ({"target": "pay", "metric": "roc_auc_ovr"}, "rates classes, but the target 'pay' holds"),
        ({"metric": "mae", "bounds": (0.0, 1.0)}, "rates numbers, but the target 'income' holds classes"),
        ({"metric": "mae"}, "rates numbers, but the target 'income' holds classes"),
        ({"target": "pay", "metric": "maee"}, "did you mean 'mae'"),
        ({"target": "pay", "metric": "math:dist"}, "pass --maximize or --minimize"),
        ({"target": "pay", "metric": "sklearn.metrics:mean_absolute_error"}, "pass --maximize or --minimize"),
        ({"target": "pay", "metric": "mae", "higher_is_better": True}, "but --maximize was passed"),
        (
            {"target": "pay", "metric": "math:dist", "higher_is_better": True},
            (
                "with --maximize: so its range cannot be told from the data; correct the direction, "
                "or state the range with"
            ),
        ),
        (
            {"target": "pay", "metric": "numpy:dot", "higher_is_better": True},
            "on others: so its range cannot be told from the data; state it with --bounds LOW HIGH",
        ),
        (
            {"target": "pay", "metric": "statistics:correlation", "higher_is_better": True},
            "does not rate the mean as the prediction of every row; state it with --bounds LOW HIGH (",
        ),
        ({"target": "pay", "metric": "mae", "reads": "labels"}, "states what it reads"),
        (
            {"target": "pay", "metric": "cmd:printf 7", "higher_is_better": True},
            "returned 7.0, outside its bounds (0.0, 1.0)",
        ),
        ({"target": "pay", "metric": "cmd:echo f{file}", "higher_is_better": True}, "write {file} or --data={file}"),
        ({"calls": 3}, "a budget of 3 metric calls is too small"),
        ({"validation": 0.9}, "leave room for training"),
        ({"acceptance": 1.0}, "acceptance must lie between 0 and 1"),
        ({"confidence": 0.3}, "confidence must lie in [0.5, 1)"),
        ({"method": ("auto", "threshold")}, "name it alone"),
        ({"method": ("treshold",)}, "did you mean 'threshold'"),
        ({"loss": "cross_entrop"}, "did you mean 'cross_entropy'"),
        ({"reads": "score"}, "reads must be one of"),
        ({"device": "gpu9"}, "no device 'gpu9'"),
        ({"validation": 0.01}, "600 rows with a target are too few"),
    ],
)
def test_what_cannot_work_is_told_before_a_network_is_trained(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choices: dict[str, Any], complaint: str
) -> None:
    monkeypatch.setattr(table_network, "train_table_net", None)
    with pytest.raises((ConfigError, DataError)) as raised:
        optimize_table(request(table, **choices), run=tmp_path / "run")
    assert complaint in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("damage", ["cut", "figure", "kind", "empty"])
def test_a_damaged_summary_is_refused(done: TableResult, tmp_path: Path, damage: str) -> None:
    text = (done.folder / "summary.json").read_text()
    found = json.loads(text)
    changed = {
        "cut": text[:200],
        "figure": text.replace(f'"calls": {found["calls"]}', '"calls": 1'),
        "kind": text.replace("table job", "table jab"),
        "empty": "",
    }[damage]
    assert changed != text
    (tmp_path / "summary.json").write_text(changed)
    with pytest.raises(CheckpointError):
        TableSummary.load(tmp_path)
