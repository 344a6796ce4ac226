"""A callback of the transformers `Trainer` that improves a classifier for the metric."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, final

from torch import nn
from torch.utils.data import DataLoader

from .._errors import ConfigError, DataError
from .._extras import require
from .._types import LossFunction
from ..job import Outcome
from ..metrics import Metric
from .live_tuning import LiveTuning, When, figures
from .pooled_features import Batch, find_head, pooled_features

if TYPE_CHECKING:
    from transformers.trainer_callback import TrainerCallback, TrainerControl, TrainerState
    from transformers.training_args import TrainingArguments
else:
    TrainerCallback = require(
        "transformers.trainer_callback", extra="transformers", purpose="MetricOptCallback"
    ).TrainerCallback

Collate: TypeAlias = Callable[[list[Any]], Batch]

#: So many examples are tried before the training.
_REHEARSED = 8
#: Names of the labels before collation, which a model's `forward` does not know.
_LABELS = ("label", "label_ids")


@final
class MetricOptCallback(TrainerCallback):
    """Run `metricopt.optimize` on the head of the classifier that a `Trainer` trains.

    The head is the module that turns one row of features into the logits, such as `classifier` or `score`. The body in
    front of it does not depend on phi: it runs once over the examples, and the search works on its features.

    With `when="end"` the search follows the training (and `load_best_model_at_end`). If its result is accepted, the
    model has the improved weights from then on: `trainer.evaluate`, `trainer.predict` and `trainer.save_model` see
    them, checkpoints written during the training do not. If not, the weights stay as they are, bit for bit.

    With `when="epoch"` the search follows every `every`-th epoch, before the `Trainer` evaluates and saves, and is an
    early sign of what the metric could be. The training goes on from its own weights, unless `fold=True`.

    `metricopt/before`, `metricopt/after` and `metricopt/accepted` go to `state.log_history`; set `log` to
    `trainer.log` and they go to every logger of the trainer.

    What cannot work is refused when the training starts. Training in several processes, DeepSpeed and FSDP are
    refused: load the checkpoint in one process and call `metricopt.optimize`.

    Args:
        metric, loss: as for `metricopt.optimize`; the metric cannot be one that reads the whole model.
        val: examples for the metric: a dataset such as `eval_dataset`, or a DataLoader of batches.
        train: examples for the loss; by default the trainer's `train_dataset`. The body runs over all of them.
        head: path of the head; by default it is looked for.
        labels: what the labels are called after collation.
        collate: makes a batch of examples; by default the collator of the trainer.
        when: "end" or "epoch".
        every: so many epochs between two searches.
        fold: whether an accepted change goes into the model; by default at the end, and not between epochs.
        options: further arguments of `optimize`, such as `budget`, `adapters`, `watch`.

    Attributes:
        outcome: of the last search, None before; its model is the head.
        log: takes a dictionary of figures.

    Raises:
        ConfigError: an argument cannot work.

    >>> callback = MetricOptCallback(metric="f1", val=[{"input_ids": [1, 2], "label": 0}], budget=100)
    >>> callback.outcome is None
    True
    """

    def __init__(
        self,
        *,
        metric: Any,
        val: Any,
        train: Any = None,
        loss: str | LossFunction = "cross_entropy",
        head: str | None = None,
        labels: str = "labels",
        collate: Collate | None = None,
        when: When = "end",
        every: int = 1,
        fold: bool | None = None,
        **options: Any,
    ) -> None:
        folds = when == "end" if fold is None else fold
        self._tuning = LiveTuning(metric=metric, loss=loss, when=when, every=every, fold=folds, options=options)
        if "model" in (options.get("reads"), metric.reads if isinstance(metric, Metric) else None):
            raise ConfigError(
                "the metric reads the whole model, but only its head is optimised here; give a metric of scores and "
                "targets, or call metricopt.optimize on the model"
            )
        self._train = train
        self._val = val
        self._head = head
        self._labels = labels
        self._collate = collate
        self.log: Callable[[dict[str, float]], object] | None = None
        self.outcome: Outcome | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **known: Any
    ) -> None:
        _refuse_several(args)
        model, trained = known["model"], known["train_dataloader"]
        self._batches(trained if self._train is None else self._train, trained, args, model)
        rows = self._batches(self._val, trained, args, model, most=_REHEARSED)
        head = find_head(model, next(iter(rows)), self._labels, self._head)
        features = pooled_features(model, head, rows, self._labels)
        self._tuning.rehearse(model, head.module, features.inputs)

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **known: Any) -> None:
        # After a stop in mid-epoch state.epoch is no whole number.
        epochs = round(state.epoch or 0.0)
        if self._tuning.due(epochs):
            self._search(args, state, epochs, known["model"], known["train_dataloader"])

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **known: Any) -> None:
        if self._tuning.when == "end":
            self._search(args, state, round(state.epoch or 0.0), known["model"], known["train_dataloader"])

    def _search(
        self, args: TrainingArguments, state: TrainerState, epochs: int, model: nn.Module, trained: DataLoader[Any]
    ) -> None:
        val = self._batches(self._val, trained, args, model)
        train = self._batches(trained if self._train is None else self._train, trained, args, model)
        head = find_head(model, next(iter(val)), self._labels, self._head)
        known, seen = (pooled_features(model, head, batches, self._labels) for batches in (train, val))
        self.outcome = self._tuning.search(model, head.module, train=known, val=seen, epochs=epochs)
        told = figures(self.outcome)
        if self.log is not None:
            self.log(told)
        else:
            state.log_history.append({**told, "epoch": state.epoch or 0.0, "step": state.global_step})

    def _batches(
        self, data: Any, trained: DataLoader[Any], args: TrainingArguments, model: nn.Module, most: int | None = None
    ) -> _Batches:
        """`data` as batches in a fixed order, made without the trainer's own loader, which keeps count of its use."""
        collate: Collate = trained.collate_fn
        if hasattr(data, "dataset") and hasattr(data, "collate_fn"):  # a DataLoader, or what accelerate makes of one
            data, collate = data.dataset, data.collate_fn
        if not hasattr(data, "__len__") or not hasattr(data, "__getitem__") or len(data) == 0:
            raise DataError(
                f"the examples must be a dataset with a length, at least 1, got a {type(data).__name__}; give val= and "
                "train= as such datasets"
            )
        keep = _columns(model, self._labels) if args.remove_unused_columns else None
        size = max(args.per_device_eval_batch_size, 1)
        return _Batches(data, collate if self._collate is None else self._collate, keep, size, most)


@final
class _Batches:
    """Batches of a dataset, from its first example on, as often as they are asked for."""

    def __init__(self, data: Any, collate: Collate, keep: frozenset[str] | None, size: int, most: int | None) -> None:
        self._data = data
        self._collate = collate
        self._keep = keep
        self._size = size
        self._count = len(data) if most is None else min(most, len(data))

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, self._count, self._size):
            rows = [self._row(index) for index in range(start, min(start + self._size, self._count))]
            batch = self._collate(rows)
            if not isinstance(batch, Mapping):
                raise DataError(f"the collator must make a dictionary of tensors, got a {type(batch).__name__}")
            yield batch

    def _row(self, index: int) -> Any:
        row = self._data[index]
        if self._keep is None or not isinstance(row, Mapping):
            return row
        return {name: value for name, value in row.items() if name in self._keep}


def _columns(model: nn.Module, labels: str) -> frozenset[str]:
    """What a model takes, as the `Trainer` finds it out: it drops all other columns before collation."""
    base: Any = getattr(model, "get_base_model", None)  # peft wraps models
    forward = type(model if base is None else base()).forward
    return frozenset((*inspect.signature(forward).parameters, labels, *_LABELS))


def _refuse_several(args: TrainingArguments) -> None:
    sharded = [name for name in ("deepspeed", "fsdp") if getattr(args, name, None)]
    if args.world_size > 1 or sharded:
        how = f" with {sharded[0]}" if sharded else ""
        raise ConfigError(
            f"MetricOptCallback needs the whole model in one process, but this trainer uses {args.world_size} "
            f"process(es){how}; train without the callback, then load the checkpoint and call metricopt.optimize on it"
        )
