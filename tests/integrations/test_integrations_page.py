"""The examples of docs/integrations.md run as they stand, each on its own, and do what the page says."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

PAGE = Path(__file__).parents[2] / "docs" / "integrations.md"
EXAMPLES = {
    title: code
    for section in PAGE.read_text().split("\n## ")[1:]
    for title, code in zip([section.partition("\n")[0]], re.findall(r"```python\n(.*?)```", section, re.DOTALL))
}

pytestmark = [
    # Lightning's advice, and what Lightning 2.6 asks torch 2.13 for in the old way.
    pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers"),
    pytest.mark.filterwarnings(r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated:FutureWarning"),
]


def run(title: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(folder)
    script = folder / "example.py"
    script.write_text(EXAMPLES[title])
    with torch.random.fork_rng():
        return runpy.run_path(str(script))


def test_every_section_with_an_example_is_tested() -> None:
    assert set(EXAMPLES) == {"TensorBoard", "MLflow", "Lightning", "transformers"}


def test_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    names = run("TensorBoard", tmp_path, monkeypatch)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (after,) = EventAccumulator(str(tmp_path / "runs" / "f1")).Reload().Scalars("metricopt/after")
    assert after.value == pytest.approx(names["result"].after, rel=1e-6)


def test_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    uri = (tmp_path / "store").as_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    names = run("MLflow", tmp_path, monkeypatch)
    (run_,) = mlflow.MlflowClient(uri).search_runs(["0"])
    assert run_.info.status == "FINISHED"
    assert run_.data.params["rows"] == "900"
    assert run_.data.metrics["metricopt/after"] == names["result"].after


def test_lightning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lightning")
    names = run("Lightning", tmp_path, monkeypatch)
    outcome = names["callback"].outcome
    assert outcome.accepted
    saved = torch.load(tmp_path / "improved.ckpt", weights_only=True)["state_dict"]
    for name, value in outcome.model.state_dict().items():
        assert torch.equal(saved[name], value)


def test_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    names = run("transformers", tmp_path, monkeypatch)
    outcome = names["callback"].outcome
    assert outcome.accepted
    again = type(names["model"]).from_pretrained(tmp_path / "improved")
    assert torch.equal(again.classifier.bias, outcome.model.bias)
    assert names["trainer"].state.log_history[-1]["metricopt/after"] == outcome.after
