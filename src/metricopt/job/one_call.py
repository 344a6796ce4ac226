"""`metricopt.optimize`: a trained model and a metric in, a model that is never worse out."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

from .._types import LossFunction, Reads, Sampler
from ..methods import Method
from ..metrics import Budget, Metric, as_metric
from ..problem import Examples
from ..runtime import Answers, RunFolder, progress
from ..value import LearnedValue
from .acceptance import checked_confidence
from .adaptation import Adapters
from .arguments import check_kinds
from .code_digest import digest_of_code
from .events import Watcher
from .examples import gather
from .first_look import trained_on
from .identity import digest, digest_of_examples, digest_of_model
from .outcome import Outcome
from .request import check_learned, divided, parts, resolved_device, resolved_loss, resolved_method
from .saved_outcome import save
from .search import Search
from .stages import MethodLike


def optimize(
    model: nn.Module,
    *,
    metric: Any,
    train: Any,
    val: Any,
    loss: str | LossFunction = "cross_entropy",
    higher_is_better: bool | None = None,
    bounds: tuple[float, float] | None = None,
    reads: Reads | None = None,
    method: MethodLike = "auto",
    budget: Budget | int | None = None,
    adapters: Adapters = "auto",
    dim: int = 16,
    value: LearnedValue | str | os.PathLike[str] | None = None,
    acceptance: Any = 0.4,
    confidence: float = 0.95,
    sampler: Sampler = "plain",
    batch_size: int = 512,
    device: str | torch.device | None = None,
    seed: int = 0,
    run: str | os.PathLike[str] | None = None,
    watch: Watcher | Sequence[Watcher] = (),
    class_names: Sequence[str] | None = None,
    quiet: bool = False,
) -> Outcome:
    """Tune `model` toward `metric`. What comes back is better, beyond chance on unseen examples, or is as it was.

    The model that is given stays as it is: its weights, mode, device and hooks. A small vector phi is searched in a
    copy; at the end it is folded into the copy's weights.

    Args:
        model: any trained module from one input tensor to raw scores (logits), one row an example.
        metric: a name, a callable `(scores, targets) -> number`, a torchmetrics or scikit-learn metric, a `Metric`.
        train: examples for the loss: a pair (inputs, targets), a Dataset or a DataLoader.
        val: examples for the metric. They are split: a part for the search, a part for the acceptance test.
        loss: what the model was trained with, a name or `(scores, targets) -> scalar`.
        higher_is_better, bounds, reads: of the metric, where it does not say so itself, see `as_metric`.
        method: "auto" tries what fits the budget: tuning of the shift, a surrogate loss, MetricOpt. Or the name of a
            method, a `Method`, or several of them; the best on the search part is tested.
        budget: of metric calls and seconds, acceptance test included; a number means calls. 1,000 calls by default.
        adapters: how phi enters the model; "auto" takes what folds into its weights.
        dim: length of phi.
        value: a value function that `learn_value` made on a model of the same family, or its folder; then few calls
            or none are needed.
        acceptance: the share of `val` that the search never sees, or examples of its own. A metric that reads the
            whole model needs another such `Metric` here, on other data. None trusts the search: nothing is tested.
        confidence: of the interval that must lie above zero.
        sampler: mini-batches of the loss are drawn "plain" or class-"balanced".
        batch_size: examples of a mini-batch.
        device: where to compute; by default an accelerator if there is one, else where the model is.
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
    check_kinds(model=model, loss=loss, higher_is_better=higher_is_better, bounds=bounds, reads=reads, method=method)
    check_kinds(adapters=adapters, dim=dim, value=value, confidence=confidence, sampler=sampler, batch_size=batch_size)
    check_kinds(device=device, seed=seed, run=run, watch=watch, class_names=class_names, quiet=quiet)
    wanted = as_metric(metric, higher_is_better=higher_is_better, bounds=bounds, reads=reads)
    confidence = checked_confidence(confidence)
    examples, whole = gather(train, "train"), gather(val, "val")
    seen, unseen = parts(whole, acceptance, wanted)
    learned = LearnedValue.load(value) if isinstance(value, str | os.PathLike) else value
    if learned is not None:
        check_learned(learned, wanted, unseen)
    limits = divided(budget, unseen, learned=learned is not None)
    settings: dict[str, str | int | float | bool | None] = {
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
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if run is not None:
            identity = settings | {
                "model": digest_of_model(model),
                "train": digest_of_examples(examples),
                "val": digest_of_examples(seen),
                "unseen": digest_of_examples(unseen) if isinstance(unseen, Examples) else digest_of_code(unseen),
                "metric code": digest_of_code(wanted.fn),
                "loss code": digest_of_code(loss),
                "value": None if learned is None else digest([learned.phis, *learned.function.state_dict().values()]),
            }
            answers = stack.enter_context(RunFolder(run, identity)).answers
        else:
            answers = stack.enter_context(Answers(None))
        total = limits.total.calls
        advance = stack.enter_context(progress(total or 0, wanted.name, quiet=quiet or total is None))
        search = Search(
            model,
            metric=wanted,
            loss=resolved_loss(loss),
            train=examples,
            val=seen,
            whole=whole,
            adapters=adapters,
            dim=dim,
            sampler=sampler,
            batch_size=batch_size,
            device=resolved_device(device, model),
            seed=seed,
            answers=answers,
            watchers=[watch] if callable(watch) else list(watch),
            advance=advance,
            settings=settings,
            class_names=class_names,
        )
        own = unseen if isinstance(unseen, Examples) and not isinstance(acceptance, int | float) else None
        trained = [] if acceptance is None else _on_trained_rows(examples, whole, own, wanted)
        for doubt in (*trained, *search.look(unseen, own=own is not None)):
            warnings.warn(doubt, UserWarning, stacklevel=2)
        outcome = search.run(resolved_method(method, learned), unseen, limits=limits, confidence=confidence)
        if run is not None:
            save(outcome, run)
    return outcome


def _on_trained_rows(train: Examples, val: Examples, own: Examples | None, metric: Metric) -> list[str]:
    """What there is to say of rows that the model was trained on and is judged by; `own` is acceptance=, if examples."""
    if metric.reads == "model":  # it brings its own examples
        return []
    parts = {"val": val} if own is None else {"val": val, "acceptance": own}
    return [doubt for name, part in parts.items() if (doubt := trained_on(train, part, name)) is not None]


def _told(choice: object) -> str:
    """A choice as text, the same text for the same choice in every process."""
    if isinstance(choice, str):
        return choice
    if isinstance(choice, list | tuple):
        return ", ".join(_told(one) for one in choice)
    name = getattr(choice, "name", None) or type(choice).__name__
    return repr(choice) if isinstance(choice, Method) else str(name) if not hasattr(choice, "kind") else repr(choice)
