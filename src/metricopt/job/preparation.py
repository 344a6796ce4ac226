"""From what a user gave to a workload and the examples that decide: one preparation for every job."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from .._errors import ConfigError, DataError
from .._shown import shown
from .._types import LossFunction, Sampler
from ..adapters.site import Places
from ..evolution import SymbolicLoss
from ..losses import get_loss
from ..metrics import Metric
from ..profiles import Profile, Slices
from ..workload import Examples, Stream, StreamedWorkload, TensorWorkload, TrainingLoss, Workload
from ..workload.examples import inputs_like, no_inference
from ..workload.kinds import OutputKind, check_labels, is_minus_one, labels_of, output_kind
from ..workload.nests import mapped, numel, on, rows_of, sliced
from ..workload.workload import SHORT_ROW
from .adaptation import Adapters, adapt
from .arguments import check_loss, first_outputs, unwrapped, validate_arguments
from .examples import gather
from .model_outputs import seen_within, with_one_output
from .same_rows import leaked
from .split import AnyRows, search_and_acceptance

#: Tables of few values hold equal rows by nature; beyond this share two parts are the same data.
MOST_SHARED = 0.5

#: What the acceptance test is made on: examples that the search never sees, in memory or streamed, a metric of the
#: whole model on such examples, or nothing: no test.
Holdout: TypeAlias = Examples | Stream | Metric | None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a workload is made; the same for every job. Raises ConfigError where one is of a kind that cannot be meant.

    Args:
        loss: a name, `(outputs, targets) -> scalar`, or a `TrainingLoss`.
        adapters, dim: how phi enters the model.
        where: at which modules, see `attach`; None where the adapters say so themselves.
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
    where: Places = None
    sampler: Sampler = "plain"
    batch_size: int | None = None
    device: str | torch.device | None = None
    outputs: str | None = None
    groups: Any = None
    stream: bool = False
    memory: int = 1 << 30
    profile: Profile | None = None
    slices: Slices | int | None = None

    @classmethod
    def among(cls, arguments: Mapping[str, Any]) -> Self:
        """Those among the arguments of a function, its `locals()`: so an option of all jobs is named once in each."""
        return cls(**{each.name: arguments[each.name] for each in fields(cls) if each.name in arguments})

    def __post_init__(self) -> None:
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        del given["groups"]  # it takes the rows of val to judge them
        validate_arguments(**given)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A workload with its search split, and the holdout.

    Args:
        model: as it was given, without what compiles it or spreads it over devices; with one output.
        workload: of a copy of it.
        holdout: for the acceptance test.
        own_holdout: whether it was given as such, not taken from val.
        train, val: all examples as they were given; val is not split.
        search: the search part of val.
    """

    model: nn.Module
    workload: Workload
    holdout: Holdout
    own_holdout: bool
    train: Examples | Stream = field(repr=False)
    val: Examples | Stream = field(repr=False)
    search: Examples | Stream = field(repr=False)


def prepare(model: nn.Module, *, metric: Metric, train: Any, val: Any, acceptance: Any, settings: Settings) -> Prepared:
    """Gather, split, check, adapt. The model is copied; everything is checked before anything is searched.

    Raises:
        ConfigError, DataError: an argument cannot work; the message says what would.
    """
    model, outputs_kind = with_one_output(unwrapped(model), settings.outputs)
    settings = replace(settings, outputs=outputs_kind, where=seen_within(model, settings.where))
    device = resolved_device(settings.device, model)
    loss = resolved_loss(settings.loss)
    twin = copy.deepcopy(model).to(device).eval()
    examples, whole = _read(train, "train", settings), _grouped(_read(val, "val", settings), settings.groups)
    search, holdout = parts(whole, acceptance, metric, stream=settings.stream)
    own = isinstance(holdout, Examples | Stream) and not isinstance(acceptance, int | float)
    some_train, some = (ready(twin, in_memory(part.first(64)), device) for part in (examples, search))
    outputs = first_outputs(twin, some.inputs)
    known_train = examples if isinstance(examples, Examples) else some_train
    _check_targets(known_train, whole, outputs, settings)
    kind = _kind(outputs, search, known_train, settings, metric)
    check_loss(loss, twin, some_train)
    probe = sliced(some.inputs, 0, 8)
    adapted = adapt(twin, settings.adapters, dim=settings.dim, probe=probe, kind=kind, where=settings.where)
    batch_size = min(_batch_size(settings, some_train.inputs), len(examples))
    shared: dict[str, Any] = {
        "loss": loss,
        "sampler": settings.sampler,
        "batch_size": batch_size,
        "outputs": kind,
        "memory": settings.memory,
        "profile": settings.profile,
        "slices": settings.slices,
    }
    workload: Workload
    if isinstance(search, Stream):
        workload = StreamedWorkload(adapted, train=train, val=search, **shared)
    else:
        ready_train, ready_search = ready(twin, in_memory(examples), device), ready(twin, search, device)
        workload = TensorWorkload(adapted, train=ready_train, val=ready_search, **shared)
    if settings.slices is not None:
        _ = workload.profile, workload.slices_of("val")  # what is wrong with them shows now
    return Prepared(
        model=model,
        workload=workload,
        holdout=holdout,
        own_holdout=own,
        train=examples,
        val=whole,
        search=search,
    )


def _read(data: Any, name: str, settings: Settings) -> Examples | Stream:
    if not settings.stream:
        return gather(data, name)
    if not isinstance(data, Dataset | DataLoader):
        raise DataError("stream=True reads a Dataset or a DataLoader of one for train and val; tensors are in memory")
    return Stream(data, name=name)


@contextmanager
def own_modes() -> Iterator[None]:
    """Gradients and plain tensors, whatever mode the caller is in."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def parts(val: AnyRows, acceptance: Any, metric: Metric, *, stream: bool = False) -> tuple[AnyRows, Holdout]:
    """The search part of `val`, and what the acceptance test is made on, which may be streamed, too."""
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
            "tested on them. Give acceptance=None to trust the search"
        )
    if isinstance(acceptance, bool | str):
        raise ConfigError(f"acceptance must be a share like 0.4, examples, a Metric or None, got {shown(acceptance)}")
    if isinstance(acceptance, int | float):
        return search_and_acceptance(val, share=float(acceptance))
    read = stream and isinstance(acceptance, Dataset | DataLoader)
    holdout = Stream(acceptance, name="acceptance") if read else gather(acceptance, "acceptance")
    double = leaked(holdout.hashes, val.hashes)
    if double > MOST_SHARED:
        raise ConfigError(
            f"{100 * double:.0f} % of the examples in acceptance= are also in val, which the search sees; give others, "
            "or a share like acceptance=0.4"
        )
    return val, holdout


def in_memory(rows: Examples | Stream) -> Examples:
    return rows if isinstance(rows, Examples) else rows.gathered()


def ready(model: nn.Module, examples: AnyRows, device: torch.device) -> AnyRows:
    """On `device`, real inputs in the precision of the model; a streamed workload does that to what it reads."""
    if isinstance(examples, Stream):
        return examples
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


def _grouped(val: Examples | Stream, groups: Any) -> Examples | Stream:
    if groups is None:
        return val
    ids = torch.as_tensor(groups)
    if ids.is_floating_point() or ids.shape != (len(val),):
        raise ConfigError(
            f"groups must be one integer for each of the {len(val)} rows of val, got {ids.dtype} of shape "
            f"{tuple(ids.shape)}"
        )
    if isinstance(val, Examples):
        return replace(val, groups=ids.long())
    val.groups = ids.long()
    return val


def _check_targets(train: Examples, val: Examples | Stream, outputs: Any, settings: Settings) -> None:
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


def _kind(outputs: Any, search: Examples | Stream, train: Examples, settings: Settings, metric: Metric) -> OutputKind:
    """What the outputs are; labels and metric must go with that."""
    both = [labels_of(part.targets).reshape(-1).double() for part in (search, train)]
    few = sliced(search.targets, 0, rows_of(outputs))
    kind = output_kind(outputs, few, declared=settings.outputs, labels=torch.cat(both) if len(both[0]) else None)
    for name, part in (("val", search), ("train", train)):
        if isinstance(part.targets, Tensor) and isinstance(outputs, Tensor):
            check_labels(kind, part.targets, outputs, name)
    if kind in ("boxes", "lists", "other") and metric.reads in ("labels", "probabilities"):
        raise ConfigError(
            f"metric {metric.name!r} reads {metric.reads}, but the outputs are {kind}; use one that reads scores"
        )
    return kind
