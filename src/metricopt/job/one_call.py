"""`metricopt.optimize`: a trained model and a metric in, a model that is never worse out."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from .._digest import digest, digest_of_model
from .._types import LossFunction, Reads, Sampler
from ..adapters.site import Places
from ..asking import Ask, AskOnExecutor, ask_in_turn, check_travels
from ..methods import Method
from ..metrics import Budget, Metric
from ..profiles import Profile, Slices
from ..runtime import Executor, MetricCache, RunFolder, make_executor, progress
from ..value import LearnedValue
from ..workload import Examples, Stream, TrainingLoss
from .acceptance import checked_confidence
from .adaptation import Adapters
from .arguments import validate_arguments
from .code_digest import digest_of_code
from .events import Watcher
from .outcome import Outcome, save
from .preparation import Prepared, Settings, own_modes, prepare
from .request import check_learned, divided, resolved_method, resolved_metric
from .sanity_checks import trained_on
from .search import Search
from .stages import MethodLike


def optimize(
    model: nn.Module,
    *,
    metric: Any,
    train: Any,
    val: Any,
    loss: str | LossFunction | TrainingLoss = "cross_entropy",
    higher_is_better: bool | None = None,
    bounds: tuple[float, float] | None = None,
    reads: Reads | None = None,
    method: MethodLike = "auto",
    budget: Budget | int | None = None,
    adapters: Adapters = "auto",
    dim: int = 16,
    where: Places = None,
    value: LearnedValue | str | os.PathLike[str] | None = None,
    acceptance: Any = 0.4,
    confidence: float = 0.95,
    sampler: Sampler = "plain",
    batch_size: int | None = None,
    outputs: str | None = None,
    groups: Any = None,
    profile: Profile | None = None,
    slices: Slices | int | None = None,
    stream: bool = False,
    memory: int = 1 << 30,
    executor: str | Executor = "serial",
    workers: int | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
    run: str | os.PathLike[str] | None = None,
    watch: Watcher | Sequence[Watcher] = (),
    class_names: Sequence[str] | None = None,
    quiet: bool = False,
) -> Outcome:
    """Tune `model` toward `metric`. What comes back is better, beyond chance on holdout examples, or is as it was.

    The model that is given stays as it is: its weights, mode, device and hooks. A small vector phi is searched in a
    copy; at the end it is folded into the copy's weights.

    Args:
        model: any trained module to raw scores (logits), embeddings, values or records, one row an example. It takes a
            tensor, a tuple of arguments or a mapping of keywords.
        metric: a name, a callable `(scores, targets) -> number`, a torchmetrics or scikit-learn metric, a `Metric`.
        train: examples for the loss: a pair (inputs, targets), a Dataset or a DataLoader.
        val: examples for the metric. They are split: a part for the search, a part for the acceptance test. What stands
            beside inputs and targets, of groups or costs, is for the metric alone: `metric(scores, targets, beside)`.
        loss: what the model was trained with, a name or `(scores, targets) -> scalar`; a `TrainingLoss` where the model
            itself computes it.
        higher_is_better, bounds, reads: of the metric, where it does not say so itself, see `as_metric`. The range of
            an error of numbers, "mae" say, is told by the targets of train.
        method: "auto" is "metricopt": a value function that reads scores, and all proposers. Or the name of another
            method, a `Method`, or several of them; the best on the search part is tested.
        budget: of metric calls and seconds, acceptance test included; a number means calls. 500 calls by default.
        adapters: how phi enters the model; "auto" takes what folds into its weights.
        dim: length of phi.
        where: at which modules adapters that are named go, as `attach` takes it: a name pattern such as "layer3.*", a
            module type, a function of a `Site`, a tuple of these, or a mapping with one for each kind of adapter.
        value: a value function that `learn_value` made on another model of any architecture, or its folder; then few
            calls or none are needed.
        acceptance: the share of `val` that the search never sees, or examples of its own. A metric that reads the
            whole model needs another such `Metric` here, on other data. None trusts the search: nothing is tested.
        confidence: of the interval that must lie above zero.
        sampler: mini-batches of the loss are drawn "plain" or class-"balanced".
        batch_size: examples of a mini-batch; by default 512 rows of a table, 64 images or sequences.
        device: where to compute; by default an accelerator if there is one, else where the model is.
        outputs: what the model's outputs are, one of `metricopt.workload.OUTPUT_KINDS`; None where that is beyond
            doubt. Or, where the model returns a mapping, the name of the entry with the scores; of models of
            transformers the logits are taken.
        groups: `(N,)` integers for the rows of `val`: rows of one query, patient or user. They are never divided
            between search and acceptance, and are drawn together.
        profile: what the value function reads of the outputs, see `metricopt.profiles`; None for that of their kind.
            `UnlabelledProfile` where the labels stay with who judges, `WithColumns` to add figures of your own.
        slices: parts of the rows that the value function looks into, `Slices(names=..., of=function of the inputs)`,
            for metrics of the worst group or of a group that only the metric knows; a number for so many clusters.
        stream: read `train` and `val`, Datasets or DataLoaders, whenever they are needed instead of holding them in
            memory.
        memory: bytes that activations may take, and again features that are kept.
        executor: where the metric is called: "serial" in this process, side by side in "threads" (a program or server
            that is waited for), "processes" or on a "ray" cluster; or an `Executor`.
        workers: how many calls are made at once; by default one a core, or all of the cluster.
        seed: of everything random. The same seed gives the same result on a CPU.
        run: a folder that keeps the run. Stopped at any moment and called again, it goes on and ends with the result
            that it would have had.
        watch: gets every event, see `metricopt.job.events`.
        class_names: for the report.
        quiet: no progress bar.

    Raises:
        ConfigError, DataError: an argument cannot work; the message says what would.
        MetricError: the metric failed.

    Warns:
        UserWarning: val holds the rows of train, or the scores look like probabilities.

    >>> x = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
    >>> y = (x[:, 0] > 0.6).float()
    >>> net = nn.Linear(3, 1)
    >>> _ = net.load_state_dict({"weight": torch.tensor([[2.0, 0, 0]]), "bias": torch.zeros(1)})  # a poor threshold
    >>> outcome = optimize(net, metric="f1", train=(x[:200], y[:200]), val=(x[200:], y[200:]), budget=150)
    >>> outcome.accepted, outcome.after > outcome.before, outcome.calls <= 150
    (True, True, True)
    """
    validate_arguments(
        model=model,
        higher_is_better=higher_is_better,
        bounds=bounds,
        reads=reads,
        method=method,
        value=value,
        confidence=confidence,
        seed=seed,
        run=run,
        watch=watch,
        class_names=class_names,
        quiet=quiet,
        executor=executor,
        workers=workers,
    )
    settings = Settings.among(locals())
    wanted, train = resolved_metric(
        metric, train, higher_is_better=higher_is_better, bounds=bounds, reads=reads, stream=stream
    )
    confidence = checked_confidence(confidence)
    with ExitStack() as stack:
        stack.enter_context(own_modes())
        made = prepare(model, metric=wanted, train=train, val=val, acceptance=acceptance, settings=settings)
        learned = LearnedValue.load(value) if isinstance(value, str | os.PathLike) else value
        if learned is not None:
            check_learned(learned, wanted, made.workload.profile, made.holdout)
        limits = divided(budget, made.holdout, learned=learned is not None)
        shown_settings: dict[str, str | int | float | bool | None] = {
            "metric": wanted.name,
            "higher_is_better": wanted.higher_is_better,
            "bounds": str(wanted.bounds),
            "loss": loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__),
            "method": _told(method) if learned is None else "learned value",
            "calls": limits.total.calls,
            "seconds": limits.total.seconds,
            "adapters": _told(adapters),
            "dim": dim,
            "confidence": confidence,
            "sampler": sampler,
            "batch_size": batch_size,
            "seed": seed,
        }
        used_before: list[str] = []
        if run is not None:
            identity = shown_settings | what_is_searched(made, settings, train)
            identity |= {
                "metric code": digest_of_code(wanted.fn),
                "value": None if learned is None else learned.digest,
            }
            held = stack.enter_context(RunFolder(run, identity))
            cache, used_before = held.cache, held.judged_alike
        else:
            cache = stack.enter_context(MetricCache(None))
        total = limits.total.calls
        advance = stack.enter_context(progress(total or 0, wanted.name, quiet=quiet or total is None))
        search = Search(
            made,
            metric=wanted,
            seed=seed,
            ask=_ask(stack, wanted, executor, workers),
            cache=cache,
            watchers=[watch] if callable(watch) else list(watch),
            advance=advance,
            settings=shown_settings,
            class_names=class_names,
            used_before=used_before,
        )
        trained = [] if acceptance is None else _on_trained_rows(made, wanted)
        for doubt in (*trained, *search.sanity_checks()):
            warnings.warn(doubt, UserWarning, stacklevel=2)
        outcome = search.run(resolved_method(method, learned), limits=limits, confidence=confidence)
        if run is not None:
            save(outcome, run)
    return outcome


def _ask(stack: ExitStack, metric: Metric, executor: str | Executor, workers: int | None) -> Ask:
    """How calls are made: in turn, or side by side."""
    if executor == "serial":
        return ask_in_turn
    if isinstance(executor, str):
        if executor in ("processes", "ray"):
            check_travels(metric, executor)
        executor = stack.enter_context(make_executor(executor, workers=workers or os.cpu_count() or 1))
    return AskOnExecutor(executor, workers=workers or executor.workers)


def what_is_searched(made: Prepared, settings: Settings, train: Any) -> dict[str, str | int | float | bool | None]:
    """What makes two searches the same, whatever they are for."""
    where = settings.where if isinstance(settings.where, str | None) else digest_of_code(settings.where)
    told: dict[str, Any] = {} if where is None else {"where": where}
    return told | {
        "adapters": _told(settings.adapters),
        "dim": settings.dim,
        "sampler": settings.sampler,
        "batch_size": settings.batch_size,
        "model": digest_of_model(made.model),
        "train": _digest_of(made.train if isinstance(made.train, Examples) else train),
        "val": _digest_of(made.search),
        "holdout": _digest_of(made.holdout),
        "profile": None if settings.profile is None else settings.profile.identity,
        "slices": _told_slices(settings.slices),
        "loss code": digest_of_code(settings.loss),
    }


def _told_slices(slices: Slices | int | None) -> str | int | None:
    return f"{list(slices.names)} {digest_of_code(slices.of)}" if isinstance(slices, Slices) else slices


def _digest_of(given: Any) -> str:
    """A digest of data, as a run remembers them: of a Dataset that is read row by row its length and first row."""
    if isinstance(given, Examples):
        return digest([given.inputs, given.judged_by])
    if isinstance(given, Stream):
        return digest([given.hashes, given.judged_by])
    if given is None or isinstance(given, Metric):
        return digest_of_code(given)
    data: Any = given.dataset if isinstance(given, DataLoader) else given
    return digest([len(data), list(data[0])])


def _on_trained_rows(made: Prepared, metric: Metric) -> list[str]:
    """What there is to say of rows that the model was trained on and is judged by."""
    if metric.reads == "model":  # it brings its own examples
        return []
    parts = {"val": made.val}
    if made.own_holdout and isinstance(made.holdout, Examples | Stream):
        parts["acceptance"] = made.holdout
    return [doubt for name, part in parts.items() if (doubt := trained_on(made.train, part, name)) is not None]


def _told(choice: object) -> str:
    """A choice as text, the same text for the same choice in every process."""
    if isinstance(choice, str):
        return choice
    if isinstance(choice, list | tuple):
        return ", ".join(_told(one) for one in choice)
    name = getattr(choice, "name", None) or type(choice).__name__
    return repr(choice) if isinstance(choice, Method) else str(name) if not hasattr(choice, "kind") else repr(choice)
