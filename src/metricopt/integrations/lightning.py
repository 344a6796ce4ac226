"""A Lightning callback that improves the model for the metric, after its training or between epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, final

from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset

from .._errors import ConfigError
from .._extras import require
from .._types import LossFunction
from ..job import Outcome
from ..job.examples import gather
from ..workload import Examples
from .live_tuning import LiveTuning, When, figures

if TYPE_CHECKING:
    from lightning.pytorch import Callback, LightningModule, Trainer
else:
    Callback = require("lightning.pytorch", extra="lightning", purpose="MetricOptCallback").Callback

#: The layers to optimise: a path such as "net" or "model.classifier", or a function of the LightningModule.
Part: TypeAlias = str | Callable[["LightningModule"], nn.Module]

#: So many examples are tried before the training.
_REHEARSED = 8


@final
class MetricOptCallback(Callback):
    """Run `metricopt.optimize` on the module that Lightning trains.

    With `when="end"` the search follows the training. If its result is accepted, the module has the improved weights
    from then on: `trainer.test`, `trainer.predict` and `trainer.save_checkpoint` see them. Checkpoints that were
    written during the training do not hold them. If it is not accepted, the weights stay as they are, bit for bit.

    With `when="epoch"` the search follows every `every`-th epoch and is an early sign of what the metric could be:
    `metricopt/before`, `metricopt/after` and `metricopt/accepted` are logged, for `EarlyStopping` and
    `ModelCheckpoint` too. The training goes on from its own weights, unless `fold=True`.

    What cannot work is refused when the training starts. `fast_dev_run` tries that much and searches nothing.
    Training in several processes is refused: load the checkpoint in one process and call `metricopt.optimize`.

    Args:
        metric, loss: as for `metricopt.optimize`.
        train, val: examples as for `optimize`, by default the trainer's own data loaders. Their batches must be pairs
            (inputs, targets); what `on_after_batch_transfer` would do to them is not done.
        module: the layers to optimise; they map inputs to raw scores. By default the LightningModule itself.
        when: "end" or "epoch".
        every: so many epochs between two searches.
        fold: whether an accepted change goes into the module; by default at the end, and not between epochs.
        options: further arguments of `optimize`, such as `budget`, `adapters`, `watch`.

    Attributes:
        outcome: of the last search, None before.

    Raises:
        ConfigError: an argument cannot work.

    >>> callback = MetricOptCallback(metric="f1", when="epoch", every=2, budget=100)
    >>> callback.outcome is None
    True
    """

    def __init__(
        self,
        *,
        metric: Any,
        train: Any = None,
        val: Any = None,
        loss: str | LossFunction = "cross_entropy",
        module: Part = "",
        when: When = "end",
        every: int = 1,
        fold: bool | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        folds = when == "end" if fold is None else fold
        self._tuning = LiveTuning(metric=metric, loss=loss, when=when, every=every, fold=folds, options=options)
        self._train = train
        self._val = val
        self._module = module
        self.outcome: Outcome | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit":
            _refuse_several(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        part = self._part(pl_module)
        self._examples(trainer, "train")
        rows = _gathered(_first(self._examples(trainer, "val")), "val", part)
        self._tuning.rehearse(pl_module, part, rows.inputs[:_REHEARSED])

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epochs = trainer.current_epoch + 1
        if self._tuning.due(epochs) and not _is_trial(trainer):
            pl_module.log_dict(figures(self._search(trainer, pl_module, epochs)))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._tuning.when == "end" and not _is_trial(trainer):
            outcome = self._search(trainer, pl_module, trainer.current_epoch)
            for logger in trainer.loggers:  # the module's own log is closed by now
                logger.log_metrics(figures(outcome), step=trainer.global_step)

    def _search(self, trainer: Trainer, pl_module: LightningModule, epochs: int) -> Outcome:
        part = self._part(pl_module)
        train, val = (_gathered(self._examples(trainer, name), name, part) for name in ("train", "val"))
        self.outcome = self._tuning.search(pl_module, part, train=train, val=val, epochs=epochs)
        return self.outcome

    def _part(self, pl_module: LightningModule) -> nn.Module:
        if callable(self._module):
            return self._module(pl_module)
        try:
            return pl_module.get_submodule(self._module)
        except AttributeError as error:
            names = [name for name, _ in pl_module.named_children()]
            raise ConfigError(
                f"{type(pl_module).__name__} has no module {self._module!r}; it holds: {', '.join(names)}"
            ) from error

    def _examples(self, trainer: Trainer, name: str) -> Any:
        given = self._train if name == "train" else self._val
        if given is not None:
            return given
        loaders = trainer.train_dataloader if name == "train" else trainer.val_dataloaders
        if isinstance(loaders, list) and len(loaders) == 1:
            loaders = loaders[0]
        if not isinstance(loaders, DataLoader):
            found = "none" if not loaders else f"a {type(loaders).__name__}"
            raise ConfigError(
                f"MetricOptCallback looks for one DataLoader of the trainer for {name}=, and found {found}; give "
                f"{name}= a pair (inputs, targets), a Dataset or a DataLoader"
            )
        return loaders


def _gathered(data: Any, name: str, part: nn.Module) -> Examples:
    """All of `data` in the precision of the layers, which is what Lightning makes of every batch, too."""
    examples = gather(data, name)
    weight = next((one for one in part.parameters() if one.is_floating_point()), None)
    if weight is None or not examples.inputs.is_floating_point():
        return examples
    return Examples(inputs=examples.inputs.to(weight.dtype), targets=examples.targets)


def _first(data: Any) -> Any:
    """A few examples of `data`, without going through all of it where it has a length."""
    if isinstance(data, DataLoader) and hasattr(data.dataset, "__len__"):
        return DataLoader(_some(data.dataset), batch_size=_REHEARSED, collate_fn=data.collate_fn)
    if isinstance(data, Dataset) and hasattr(data, "__len__"):
        return _some(data)
    return data


def _some(dataset: Any) -> Subset[Any]:
    return Subset(dataset, range(min(_REHEARSED, len(dataset))))


def _is_trial(trainer: Trainer) -> bool:
    return bool(trainer.fast_dev_run)  # type: ignore[attr-defined]


def _refuse_several(trainer: Trainer) -> None:
    from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy

    sharded = isinstance(trainer.strategy, DeepSpeedStrategy | FSDPStrategy | ModelParallelStrategy)
    if trainer.world_size > 1 or sharded:
        raise ConfigError(
            f"MetricOptCallback needs the whole model in one process, but this trainer uses {trainer.world_size} "
            f"processes with {type(trainer.strategy).__name__}; train without the callback, then load the checkpoint "
            "and call metricopt.optimize on it"
        )
