"""A real, tiny training with Lightning, improved for F1."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

pl = pytest.importorskip("lightning.pytorch")

from metricopt import LoRA, OutputShift, get_metric
from metricopt._errors import AdapterError, ConfigError
from metricopt.integrations.lightning import MetricOptCallback

pytestmark = [
    # Lightning's advice on workers; three hundred rows need none.
    pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers"),
    # Lightning 2.6 asks torch 2.13 for a leaf of a tree in the old way.
    pytest.mark.filterwarnings(r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated:FutureWarning"),
]


def rows(count: int, seed: int) -> TensorDataset:
    """A class in five is positive; the labels are noisy, so that a trained model seldom says yes."""
    source = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 4, generator=source)
    y = (x[:, 0] + 1.5 * torch.randn(count, generator=source) > 1.7).float()
    return TensorDataset(x, y)


class Classifier(pl.LightningModule):
    """A small network that Lightning trains."""

    def __init__(self, net: nn.Module | None = None) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1)) if net is None else net
        self.seen: list[dict[str, Tensor]] = []

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    def training_step(self, batch: Any, index: int) -> Tensor:
        x, y = batch
        return F.binary_cross_entropy_with_logits(self(x)[:, 0], y)

    def validation_step(self, batch: Any, index: int) -> None:
        x, y = batch
        self.log("val_loss", F.binary_cross_entropy_with_logits(self(x)[:, 0], y))

    def on_train_epoch_end(self) -> None:
        self.seen.append({name: value.clone() for name, value in self.net.state_dict().items()})

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.5)

    def train_dataloader(self) -> Any:
        return DataLoader(rows(320, 1), batch_size=64, shuffle=True)

    def val_dataloader(self) -> Any:
        return DataLoader(rows(1200, 3), batch_size=400)


def fit(model: Any, *callbacks: Any, folder: Path | None = None, epochs: int = 3, **changes: Any) -> Any:
    quiet = {
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
    }
    trainer = pl.Trainer(max_epochs=epochs, callbacks=list(callbacks), default_root_dir=folder, **(quiet | changes))
    with torch.random.fork_rng():
        torch.manual_seed(5)  # the training shuffles by it, so a search that draws from it would show
        trainer.fit(model)
    return trainer


def f1(model: Any, seed: int = 9) -> float:
    x, y = rows(4000, seed).tensors
    with torch.no_grad():
        return get_metric("f1")(model.eval()(x), y)


def weights(model: Any) -> list[Tensor]:
    return [value.clone() for value in model.net.state_dict().values()]


def same(some: list[Tensor], others: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(some, others, strict=True))


def end(**changes: Any) -> MetricOptCallback:
    return MetricOptCallback(**({"metric": "f1", "budget": 100, "method": "threshold"} | changes))


@pytest.fixture(scope="module")
def plain() -> Any:
    """The same training without a callback."""
    model = Classifier()
    fit(model)
    return model


def test_at_the_end_the_module_itself_has_the_improved_weights(plain: Any, tmp_path: Path) -> None:
    model, callback = Classifier(), end()
    trainer = fit(model, callback, folder=tmp_path)
    outcome = callback.outcome
    assert outcome is not None and outcome.accepted
    assert same(list(model.seen[-1].values()), weights(plain))  # the training itself was the same
    assert f1(trainer.model) == f1(outcome.model) > f1(plain) + 0.1
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    again = Classifier.load_from_checkpoint(tmp_path / "last.ckpt", weights_only=True)
    assert same(weights(again), weights(model))


def test_what_is_not_accepted_leaves_no_trace(plain: Any) -> None:
    x = rows(200, 3).tensors[0]
    noise = (x, (torch.rand(200, generator=torch.Generator().manual_seed(0)) > 0.5).float())
    model, callback = Classifier(), end(metric="accuracy", val=noise)
    fit(model, callback)
    assert callback.outcome is not None and not callback.outcome.accepted
    assert same(weights(model), weights(plain))


def test_between_epochs_it_is_a_sign_for_others_and_the_training_goes_on(plain: Any, tmp_path: Path) -> None:
    told: list[tuple[int, dict[str, float]]] = []

    class Listen(pl.Callback):
        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            figures = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("metricopt/")}
            told.append((trainer.current_epoch, figures))

    best = pl.callbacks.ModelCheckpoint(
        tmp_path, monitor="metricopt/after", mode="max", save_on_train_epoch_end=True, every_n_epochs=2
    )
    model, callback = Classifier(), end(when="epoch", every=2)
    fit(model, callback, best, Listen(), epochs=4, enable_checkpointing=True)
    shorter = Classifier()
    fit(shorter, epochs=4)
    assert same(weights(model), weights(shorter))
    outcome = callback.outcome
    assert outcome is not None
    assert told[0] == (0, {})
    assert told[3] == (
        3,
        {
            "metricopt/before": pytest.approx(outcome.before),
            "metricopt/after": pytest.approx(outcome.after),
            "metricopt/accepted": 1.0,
        },
    )
    assert outcome.after > outcome.before
    assert best.best_model_score is not None


def test_between_epochs_it_may_go_into_the_model() -> None:
    model, callback = Classifier(), end(when="epoch", every=3, fold=True)
    trained = fit(model, callback)
    assert callback.outcome is not None and callback.outcome.accepted
    assert f1(trained.model) == f1(callback.outcome.model)
    assert callback.outcome.before < callback.outcome.after


def test_the_end_may_only_measure(plain: Any) -> None:
    model, callback = Classifier(), end(fold=False)
    fit(model, callback)
    assert callback.outcome is not None and callback.outcome.accepted
    assert same(weights(model), weights(plain))


def test_the_last_figures_go_to_the_logger(tmp_path: Path) -> None:
    callback = end()
    fit(
        Classifier(),
        callback,
        folder=tmp_path,
        logger=pl.loggers.CSVLogger(tmp_path, name="log", version=0),
        log_every_n_steps=5,
    )
    lines = (tmp_path / "log" / "version_0" / "metrics.csv").read_text().splitlines()
    assert callback.outcome is not None
    row = dict(zip(lines[0].split(","), lines[-1].split(","), strict=True))
    assert float(row["metricopt/after"]) == pytest.approx(callback.outcome.after)
    assert float(row["metricopt/before"]) == pytest.approx(callback.outcome.before)


@pytest.mark.parametrize("part", ["net", lambda model: nn.Sequential(model.net, nn.Flatten(0))], ids=["name", "view"])
def test_the_layers_to_optimise_can_be_named(part: Any) -> None:
    model, callback = Classifier(), end(module=part)
    fit(model, callback)
    assert callback.outcome is not None and callback.outcome.accepted
    before = model.seen[-1]
    assert not same(weights(model), list(before.values()))


@pytest.mark.parametrize("precision", ["64-true", "bf16-true", "bf16-mixed"])
def test_other_precisions(precision: str) -> None:
    model, callback = Classifier(), end()
    fit(model, callback, precision=precision)
    assert callback.outcome is not None and callback.outcome.accepted
    assert same(weights(model), weights(callback.outcome.model))


def test_a_trial_run_tries_the_set_up_and_searches_nothing() -> None:
    callback = end()
    fit(Classifier(), callback, fast_dev_run=True)
    assert callback.outcome is None


class Keeps(Classifier):
    """Holds its last loss, which cannot be copied."""

    def training_step(self, batch: Any, index: int) -> Tensor:
        self.last = super().training_step(batch, index)
        return self.last


class Tied(nn.Module):
    """The last layer uses the weights of the first."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.last = nn.Linear(4, 4)
        self.last.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.first(x)))[:, :1]


def test_a_module_that_cannot_be_copied_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"the model cannot be copied.*module="):
        fit(Keeps(), end())
    callback = end(module="net")
    fit(Keeps(), callback)
    assert callback.outcome is not None


@pytest.mark.parametrize(
    ("net", "changes", "error", "message"),
    [
        (nn.Linear(4, 1, bias=False), {}, AdapterError, r"has the weights \['net.bias'\], which the model in training"),
        (Tied(), {"adapters": LoRA()}, AdapterError, r"is shared with \['net\.\w+\.weight'\]"),
        (None, {"module": "body"}, ConfigError, "Classifier has no module 'body'; it holds: net"),
        (None, {"module": lambda model: nn.Linear(4, 1)}, AdapterError, "are not those of the model in training"),
        (None, {"val": "val.csv"}, Exception, "val must be a pair"),
    ],
    ids=["new weight", "shared weight", "no such module", "not its layers", "no examples"],
)
def test_what_cannot_work_is_refused_before_the_training(net: Any, changes: Any, error: Any, message: str) -> None:
    model = Classifier(net)
    with pytest.raises(error, match=message):
        fit(model, end(**changes))
    assert model.seen == []


def test_a_trainer_without_validation_data_is_told_so() -> None:
    class WithoutValidation(Classifier):
        def val_dataloader(self) -> Any:
            return []

    with pytest.raises(ConfigError, match=r"one DataLoader of the trainer for val=, and found none; give val="):
        fit(WithoutValidation(), end(), limit_val_batches=0)


def test_training_in_several_processes_is_refused() -> None:
    trainer = SimpleNamespace(world_size=2, strategy=pl.strategies.DDPStrategy())
    with pytest.raises(ConfigError, match=r"this trainer uses 2 processes with DDPStrategy; train without"):
        end().setup(trainer, Classifier(), "fit")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"when": "always"}, "when must be one of end, epoch; got 'always'"),
        ({"every": 0}, "every must be an integer of at least 1"),
        ({"bugdet": 100}, "optimize has no argument 'bugdet'; did you mean 'budget'?"),
        ({"model": None}, "optimize has no argument 'model'"),
        ({"metric": "f2"}, "no metric named 'f2'"),
        ({"metric": lambda scores, targets: 0.0}, "higher_is_better"),
    ],
)
def test_wrong_arguments_are_refused_when_the_callback_is_made(changes: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        end(**changes)


def test_the_adapters_and_the_budget_are_those_of_optimize() -> None:
    callback = end(adapters=[OutputShift()], budget=90)
    fit(Classifier(), callback)
    assert callback.outcome is not None
    assert callback.outcome.calls <= 90
    assert len(callback.outcome.phi) == 2
