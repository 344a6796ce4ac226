"""From what a user gave to a workload and the examples that decide: one preparation for every job."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset

from .._errors import ConfigError, DataError
from .._types import LossFunction, Sampler
from ..evolution import SymbolicLoss
from ..losses import get_loss
from ..metrics import Metric
from ..profiles import Profile, Slices
from ..runtime import shown
from ..workload import Examples, StreamedWorkload, TensorWorkload, TrainingLoss, Workload
from ..workload.kinds import OutputKind, check_labels, is_minus_one, labels_of, output_kind
from ..workload.nests import mapped, numel, on, rows_of, sliced
from ..workload.workload import SHORT_ROW
from .adaptation import Adapters, adapt
from .arguments import check_loss, first_outputs
from .examples import gather, inputs_like, no_inference
from .same_rows import leaked, row_hashes
from .split import search_and_acceptance, taken_for_acceptance

#: Tables of few values hold equal rows by nature; beyond this share two parts are the same data.
MOST_SHARED = 0.5

#: What the acceptance test is made on: examples (or a loader of them) that the search never sees, a metric of the
#: whole model on such examples, or nothing: no test.
Holdout: TypeAlias = Examples | DataLoader[Any] | Metric | None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a workload is made; the same for every job.

    Args:
        loss: a name, `(outputs, targets) -> scalar`, or a `TrainingLoss`.
        adapters, dim: how phi enters the model.
        sampler, batch_size: of mini-batches; None for 512 rows of a table, 64 of images or sequences.
        device: where to compute; None for an accelerator if there is one, else where the model is.
        outputs: what the outputs are, None where that is beyond doubt.
        groups: `(N,)` for the rows of val, which rows belong together.
        stream: read examples whenever they are needed instead of holding them in memory.
        memory: bytes for activations, and again for features.
        profile: what the value function reads of the outputs; None for that of their kind.
        slices: parts of the rows that it looks into, or how many clusters of the features.
    """

    loss: str | LossFunction | TrainingLoss = "cross_entropy"
    adapters: Adapters = "auto"
    dim: int = 16
    sampler: Sampler = "plain"
    batch_size: int | None = None
    device: str | torch.device | None = None
    outputs: str | None = None
    groups: Any = None
    stream: bool = False
    memory: int = 1 << 30
    profile: Profile | None = None
    slices: Slices | int | None = None


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A workload with its search split, and the holdout.

    Args:
        workload: of a copy of the model.
        holdout: for the acceptance test.
        own_holdout: whether it was given as such, not taken from val.
        train, val: all examples as they were given, None where they are streamed; val is not split.
        search: the search part of val.
        holdout_groups: which rows of a streamed holdout belong together; examples in memory have their own.
    """

    workload: Workload
    holdout: Holdout
    own_holdout: bool
    train: Examples | None = field(repr=False)
    val: Examples | None = field(repr=False)
    search: Examples | None = field(repr=False)
    holdout_groups: Tensor | None = field(default=None, repr=False)

    @property
    def search_rows(self) -> Tensor:
        """What identifies the examples that the search saw, none where they are streamed."""
        return torch.zeros(0, dtype=torch.long) if self.search is None else row_hashes(self.search).unique()


def prepare(model: nn.Module, *, metric: Metric, train: Any, val: Any, acceptance: Any, settings: Settings) -> Prepared:
    """Gather, split, check, adapt. The model is copied; everything is checked before anything is computed.

    Raises:
        ConfigError, DataError: an argument cannot work; the message says what would.
    """
    device = resolved_device(settings.device, model)
    loss = resolved_loss(settings.loss)
    twin = copy.deepcopy(model).to(device).eval()
    if settings.stream:
        if settings.slices is not None:
            raise ConfigError("slices= are told from the inputs, which stream=True does not keep; use stream=False")
        return _streamed(twin, metric, train, val, acceptance, settings, loss)
    examples, whole = gather(train, "train"), _grouped(gather(val, "val"), settings.groups)
    search, holdout = parts(whole, acceptance, metric)
    own = isinstance(holdout, Examples) and not isinstance(acceptance, int | float)
    ready_train, ready_search = (ready(twin, part, device) for part in (examples, search))
    outputs = first_outputs(twin, sliced(ready_search.inputs, 0, 64))
    _check_targets(examples, whole, outputs, settings)
    kind = _kind(outputs, search, examples, settings, metric)
    check_loss(loss, twin, ready_train)
    workload = TensorWorkload(
        adapt(twin, settings.adapters, dim=settings.dim, probe=sliced(ready_search.inputs, 0, 8), kind=kind),
        loss=loss,
        train=ready_train,
        val=ready_search,
        sampler=settings.sampler,
        batch_size=min(_batch_size(settings, ready_train.inputs), len(examples)),
        outputs=kind,
        memory=settings.memory,
        profile=settings.profile,
        slices=settings.slices,
    )
    if settings.slices is not None:
        _ = workload.profile, workload.slices_of("val")  # what is wrong with them shows now
    return Prepared(workload=workload, holdout=holdout, own_holdout=own, train=examples, val=whole, search=search)


@contextmanager
def own_modes() -> Iterator[None]:
    """Gradients and plain tensors, whatever mode the caller is in."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def parts(val: Examples, acceptance: Any, metric: Metric) -> tuple[Examples, Holdout]:
    """The search part of `val`, and what the acceptance test is made on."""
    if acceptance is None:
        return val, None
    if isinstance(acceptance, Metric):
        if metric.reads != "model" or acceptance.reads != "model":
            raise ConfigError("acceptance= may be a Metric only where both metrics read the model; give examples")
        return val, acceptance
    if metric.reads == "model":
        raise ConfigError(
            f"metric {metric.name!r} reads the whole model, so its examples cannot be split or drawn anew; give "
            "acceptance= another such Metric on data that the search does not see, or acceptance=None to trust the "
            "search"
        )
    if metric.resampling == "none":
        raise ConfigError(
            f'metric {metric.name!r} says resampling="none": its examples cannot be drawn anew, so nothing can be '
            f"tested "
            "on them. Give acceptance=None to trust the search"
        )
    if isinstance(acceptance, bool | str):
        raise ConfigError(f"acceptance must be a share like 0.4, examples, a Metric or None, got {shown(acceptance)}")
    if isinstance(acceptance, int | float):
        return search_and_acceptance(val, share=float(acceptance))
    holdout = gather(acceptance, "acceptance")
    double = leaked(row_hashes(holdout), row_hashes(val))
    if double > MOST_SHARED:
        raise ConfigError(
            f"{100 * double:.0f} % of the examples in acceptance= are also in val, which the search sees; give others, "
            "or a share like acceptance=0.4"
        )
    return val, holdout


def ready(model: nn.Module, examples: Examples, device: torch.device) -> Examples:
    """On `device`, real inputs in the precision of the model."""
    targets = mapped(no_inference, on(examples.targets, device))
    return replace(examples, inputs=inputs_like(model, examples.inputs, device), targets=targets)


def resolved_loss(loss: str | LossFunction | TrainingLoss) -> LossFunction | TrainingLoss:
    """A loss by its name, by the file of an evolved one (`*.json`), or as it is."""
    if isinstance(loss, str):
        return SymbolicLoss.load(loss) if loss.endswith(".json") else get_loss(loss)
    if not callable(loss):
        raise ConfigError(f"loss must be a name or a function (scores, targets) -> scalar, got {loss!r}")
    return loss


def resolved_device(device: str | torch.device | None, model: nn.Module) -> torch.device:
    """What was asked for, else an accelerator if there is one, else where the model is."""
    if device is not None:
        try:
            found = torch.device(device)
            torch.zeros(1, device=found).item()  # some names are known, but nothing can be computed there
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise ConfigError(f'there is no device {str(device)!r}; give "cpu", "cuda" or a torch.device') from error
        return found
    if torch.cuda.is_available():
        return torch.device("cuda")
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


def _batch_size(settings: Settings, inputs: Any) -> int:
    """What was asked for; else many rows where a row is short. Trajectories take thousands of steps."""
    if settings.batch_size is not None:
        return settings.batch_size
    return 512 if numel(sliced(inputs, 0, 1)) <= SHORT_ROW else 64


def _grouped(val: Examples, groups: Any) -> Examples:
    if groups is None:
        return val
    ids = torch.as_tensor(groups)
    if ids.is_floating_point() or ids.shape != (len(val),):
        raise ConfigError(
            f"groups must be one integer for each of the {len(val)} rows of val, got {ids.dtype} of shape "
            f"{tuple(ids.shape)}"
        )
    return replace(val, groups=ids.long())


def _check_targets(train: Examples, val: Examples, outputs: Any, settings: Settings) -> None:
    """What is wrong with targets, whatever the model: NaN; -1 and 1 where a loss wants 0 and 1."""
    for name, part in (("train", train), ("val", val)):
        if not isinstance(part.targets, Tensor):
            continue
        check_labels("other", part.targets, part.targets, name)
        classifies = settings.loss == "cross_entropy" or settings.outputs in ("binary", "multilabel")
        flat = isinstance(outputs, Tensor) and (outputs.dim() == 1 or outputs.shape[-1] == 1)
        if flat and settings.outputs != "values" and is_minus_one(part.targets) and classifies:
            raise ConfigError(
                f"the targets of {name} are -1 and 1, but classes are 0 and 1 here: give (targets > 0), or "
                'outputs="values" with a loss of numbers if -1 and 1 are values'
            )


def _kind(outputs: Any, search: Examples, train: Examples, settings: Settings, metric: Metric) -> OutputKind:
    """What the outputs are; labels and metric must go with that."""
    both = [labels_of(part.targets).reshape(-1).double() for part in (search, train)]
    few = sliced(search.targets, 0, rows_of(outputs))
    kind = output_kind(outputs, few, declared=settings.outputs, labels=torch.cat(both) if len(both[0]) else None)
    for name, part in (("val", search), ("train", train)):
        if isinstance(part.targets, Tensor) and isinstance(outputs, Tensor):
            check_labels(kind, part.targets, outputs, name)
    if kind in ("boxes", "lists", "other", "positions") and metric.reads in ("labels", "probabilities"):
        raise ConfigError(
            f"metric {metric.name!r} reads {metric.reads}, but the outputs are {kind}; use one that reads scores"
        )
    return kind


# --- streams --------------------------------------------------------------------------------------


def _streamed(
    twin: nn.Module,
    metric: Metric,
    train: Any,
    val: Any,
    acceptance: Any,
    settings: Settings,
    loss: LossFunction | TrainingLoss,
) -> Prepared:
    if not isinstance(train, Dataset | DataLoader) or not isinstance(val, Dataset | DataLoader):
        raise DataError("stream=True reads a Dataset or a DataLoader of one for train and val; tensors are in memory")
    val_set, collate = (val.dataset, val.collate_fn) if isinstance(val, DataLoader) else (val, None)
    batch = val.batch_size if isinstance(val, DataLoader) and val.batch_size else 64
    groups = None if settings.groups is None else torch.as_tensor(settings.groups).long()
    known = getattr(val_set, "targets", None)  # as datasets of images have them
    labels = None if known is None else torch.as_tensor(known)
    search, holdout, held_groups = val_set, acceptance, None
    own = not isinstance(acceptance, int | float)
    if not own:
        labels = _labels_in_turn(val_set) if labels is None else labels
        rows = Examples(inputs=torch.arange(len(labels)), targets=labels, groups=groups)
        taken = taken_for_acceptance(rows, share=float(acceptance))
        search, holdout = (Subset(val_set, part.nonzero()[:, 0].tolist()) for part in (~taken, taken))
        groups, held_groups = (None, None) if groups is None else (groups[~taken], groups[taken])
    elif isinstance(acceptance, Metric) or acceptance is None or metric.reads == "model":
        _, holdout = parts(Examples(inputs=torch.zeros(1, 1), targets=torch.zeros(1)), acceptance, metric)
    elif not isinstance(acceptance, Dataset | DataLoader):
        holdout = gather(acceptance, "acceptance")

    def loader(data: Any) -> DataLoader[Any]:
        return DataLoader(data, batch_size=batch, collate_fn=collate)

    device = resolved_device(settings.device, twin)
    inputs, targets = next(iter(loader(search)))
    probe = sliced(inputs_like(twin, inputs, device), 0, 64)
    outputs = first_outputs(twin, probe)
    few = sliced(targets, 0, rows_of(outputs))
    kind = output_kind(outputs, few, declared=settings.outputs, labels=labels)
    workload = StreamedWorkload(
        adapt(twin, settings.adapters, dim=settings.dim, probe=sliced(probe, 0, 8), kind=kind),
        loss=loss,
        train=train,
        val=loader(search),
        groups=groups,
        sampler=settings.sampler,
        batch_size=_batch_size(settings, probe),
        outputs=kind,
        memory=settings.memory,
        profile=settings.profile,
    )
    return Prepared(
        workload=workload,
        holdout=loader(holdout) if isinstance(holdout, Dataset) else holdout,
        own_holdout=own,
        train=None,
        val=None,
        search=None,
        holdout_groups=held_groups,
    )


def _labels_in_turn(data: Any) -> Tensor:
    """Targets of a Dataset, one by one, where they are numbers; else the rows count as all alike."""
    first = data[0][1]
    if not isinstance(first, int | float | Tensor) or (isinstance(first, Tensor) and first.numel() != 1):
        return torch.zeros(len(data))
    return torch.tensor([float(data[i][1]) for i in range(len(data))])
