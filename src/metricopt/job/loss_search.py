"""`metricopt.evolve`: a network, rows and a metric in; a loss that a person can read out."""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .._checks import at_least, positive
from .._digest import digest
from .._errors import CheckpointError, ConfigError
from .._types import LossFunction, Reads
from ..evolution import (
    PRESETS,
    SCALES,
    BaseTask,
    EvolutionSettings,
    Learners,
    Outputs,
    PlainLosses,
    SearchState,
    finals,
    flat,
    generations,
    taught,
    turned,
)
from ..evolution.loss_population import OUTPUTS
from ..losses import aimed_loss
from ..metrics import Metric, as_metric
from ..metrics.judged import takes_beside
from ..runtime import (
    Executor,
    RunFolder,
    SerialExecutor,
    ThreadExecutor,
    make_executor,
    progress,
    read_sealed,
    write_sealed,
)
from ..workload import Examples, TrainingLoss, resampling_of
from ..workload.kinds import check_labels, labels_of, output_kind
from ..workload.nests import sliced
from .acceptance import MOST_RESAMPLES, Verdict, checked_confidence, paired_test, trusted
from .arguments import first_outputs, unwrapped, validate_arguments
from .build_report import Scores
from .code_digest import digest_of_code
from .evolved import Evolved, evolved_of, is_finished
from .examples import gather
from .preparation import own_modes, parts, ready, resolved_device, resolved_loss

_STATE = "search.json"
#: Learning rates that are tried where none is given; the one that the plain loss does best with is taken.
RATES = (0.01, 0.03, 0.1, 0.3)


def evolve(
    model: nn.Module,
    *,
    metric: Any,
    train: Any,
    val: Any,
    loss: str | LossFunction | None = None,
    objective: str | LossFunction | None = None,
    higher_is_better: bool | None = None,
    bounds: tuple[float, float] | None = None,
    reads: Reads | None = None,
    outputs: str | None = None,
    preset: str = "small",
    settings: EvolutionSettings | None = None,
    batch_size: int = 128,
    rate: float | None = None,
    momentum: float = 0.0,
    decay: float = 0.0,
    acceptance: Any = 0.4,
    confidence: float = 0.95,
    executor: str | Executor = "serial",
    workers: int | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
    run: str | os.PathLike[str] | None = None,
    class_names: Sequence[str] | None = None,
    name: str | None = None,
    quiet: bool = False,
) -> Evolved:
    """Find a loss that trains this network to a better metric, by evolution of formulas (EvoMAL).

    Each candidate is a formula of the target y and the prediction f(x). Its constants are tuned by gradients through
    training, then a network is trained with it from new initial values and the metric is asked once.

    Args:
        model: the shape of the network, to raw scores or values; its weights are not used. Dropout is off.
        metric: as for `optimize`; it reads scores, probabilities or labels.
        train: examples that networks are trained on: a pair (inputs, targets), a Dataset or a DataLoader.
        val: examples for the metric; they are split: a part that losses are chosen by, a part for the acceptance test.
        loss: the plain loss to compare with; cross-entropy for classes, the squared error for values by default.
        objective: what constants are tuned by; by default the first loss of the library that is aimed at the metric,
            else the plain loss.
        higher_is_better, bounds, reads: of the metric, where it does not say so itself.
        outputs: "binary", "multiclass", "multilabel" or "values"; None where that is beyond doubt.
        preset: "paper" (hours), "small" (minutes) or "smoke" (seconds): how long and how widely to look.
        settings: in place of a preset.
        batch_size, rate, momentum, decay: of the SGD that trains networks. A rate of None takes the one of .01, .03, .1
            and .3 that the plain loss does best with.
        acceptance: the share of `val` that no loss is chosen by, or examples of its own; None tests nothing.
        confidence: of the interval that must lie above zero.
        executor: where candidates are trained: "serial", "processes", "ray", or an `Executor`. workers: how many.
        device: where networks are trained; None takes an accelerator if there is one.
        seed: of everything random. The same seed gives the same result on a CPU, whatever the executor.
        run: a folder that keeps the run. Stopped at any moment and called again, it goes on to the same result.
        class_names: for the report.
        name: what the metric is called in the result and the report; None takes its own name.
        quiet: no progress bar.

    Raises:
        ConfigError, DataError: an argument cannot work; the message says what would.
        MetricError: the metric cannot rate the network that was trained with the plain loss.

    >>> x = torch.randn(300, 3, generator=torch.Generator().manual_seed(0))
    >>> y = (x[:, 0] + x[:, 1] > 0.6).float()
    >>> found = evolve(nn.Linear(3, 1), metric="f1", train=(x[:150], y[:150]), val=(x[150:], y[150:]), preset="smoke")
    >>> isinstance(found.best.as_loss()(torch.zeros(4), torch.tensor([0, 1, 1, 0])), torch.Tensor)
    True
    """
    began = time.perf_counter()
    validate_arguments(
        model=model,
        higher_is_better=higher_is_better,
        bounds=bounds,
        reads=reads,
        confidence=confidence,
        seed=seed,
        run=run,
        batch_size=batch_size,
        device=device,
        class_names=class_names,
        quiet=quiet,
        outputs=outputs,
        executor=executor,
        workers=workers,
    )
    model = unwrapped(model)
    wanted = as_metric(metric, higher_is_better=higher_is_better, bounds=bounds, reads=reads)
    how = settings or PRESETS[preset]
    with ExitStack() as stack:
        stack.enter_context(own_modes())
        task, holdout, plain_name, plain = _prepared(
            model, wanted, train, val, acceptance, outputs, loss, objective, resolved_device(device, model)
        )
        task = replace(task, batch=min(batch_size, len(task.x)), momentum=momentum, decay=decay)
        identity = {
            "job": "evolve",
            "metric": wanted.name,
            "metric code": digest_of_code(wanted.fn),
            "loss": plain_name,
            "loss code": digest_of_code(loss),
            "objective code": digest_of_code(objective),
            "settings": str(how.to_plain()),
            "sgd": f"{batch_size}, {rate}, {momentum}, {decay}",
            "model": _shape_of(model),
            "train": digest([task.x, task.y]),
            "val": digest([task.val_x, task.val_y]),
            "holdout": None if holdout is None else digest([holdout.inputs, holdout.targets]),
            "confidence": confidence,
            "seed": seed,
        }
        folder = None if run is None else Path(run)
        if folder is not None:
            stack.enter_context(RunFolder(folder, identity))
            if is_finished(folder):
                return Evolved.load(folder, model)
        state, spent = _kept(folder)
        tried = 0
        if rate is None:
            task, tried = _at_best_rate(task, how, plain, seed)
        else:
            task = replace(task, rate=positive("rate", rate))
        machine = stack.enter_context(_executor(executor, workers))
        state = _searched(
            task, how, state, plain, seed, machine, folder, lambda: spent + time.perf_counter() - began, quiet
        )
        with progress(2 * how.final_seeds * how.steps_in_the_end, "final trainings", quiet=quiet) as advance:
            found = finals(task, how, state, seed=seed, plain=plain, watch=lambda step: advance())
        verdict, scores = _judged(found[0].learner, found[-1].learner, task, holdout, confidence, seed)
        calls = state.calls + tried + (len(found) - 1 + len(SCALES)) * how.final_seeds + verdict.calls
        result = evolved_of(
            model,
            task,
            found,
            state,
            verdict,
            plain_name=plain_name,
            plain=plain,
            scores=scores,
            verified=holdout is not None,
            calls=calls,
            seconds=spent + time.perf_counter() - began,
            confidence=confidence,
            seed=seed,
            names=class_names,
            called=name or wanted.name,
        )
        if folder is not None:
            result.save(folder)
    return result


# --- inside --------------------------------------------------------------------------------------------------------


def _prepared(
    model: nn.Module,
    metric: Metric,
    train: Any,
    val: Any,
    acceptance: Any,
    outputs: str | None,
    loss: str | LossFunction | None,
    objective: str | LossFunction | None,
    device: torch.device,
) -> tuple[BaseTask, Examples | None, str, LossFunction]:
    """What losses are tried on, the examples that decide, and the plain loss with its name."""
    if metric.reads == "model":
        raise ConfigError(
            f"metric {metric.name!r} reads the whole model, but losses are bred by metrics of outputs; give one that "
            "reads scores, probabilities or labels"
        )
    if takes_beside(metric.fn):
        raise ConfigError(
            f"metric {metric.name!r} takes a third argument, but losses are bred by metrics of outputs and targets "
            "alone; metricopt.optimize tells a metric what stands beside the targets"
        )
    net = copy.deepcopy(model).eval().to(device)
    search, holdout = parts(gather(val, "val"), acceptance, metric)
    if isinstance(holdout, Metric) or not isinstance(holdout, Examples | None):
        raise ConfigError("acceptance must be a share of val, examples of its own, or None")
    rows = [ready(net, part, device) for part in (gather(train, "train"), search)]
    for part in rows:
        if not isinstance(part.inputs, Tensor) or not isinstance(part.targets, Tensor):
            raise ConfigError("evolve takes one tensor of inputs and one of targets; wrap the network if it takes more")
    first = first_outputs(net, sliced(rows[1].inputs, 0, 64))
    labels = torch.cat([labels_of(part.targets).reshape(-1).double() for part in rows])
    few = sliced(rows[1].targets, 0, len(first))
    kind = output_kind(first, few, declared=outputs, labels=labels)
    if kind not in OUTPUTS:
        raise ConfigError(
            f"the outputs are {kind}, but formulas speak of {', '.join(OUTPUTS)}; say outputs= if they are one of these"
        )
    for name, part in (("train", rows[0]), ("val", rows[1])):
        check_labels(kind, part.targets, first, name)
    found: Outputs = next(one for one in OUTPUTS if one == kind)
    usual = "mse" if found == "values" else "cross_entropy"
    plain = _of_scores(loss or usual, "loss")
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", usual) if loss else usual
    aimed = _of_scores(objective, "objective") if objective else aimed_loss(metric, found) or plain
    task = BaseTask(
        net=net,
        x=rows[0].inputs,
        y=rows[0].targets,
        val_x=rows[1].inputs,
        val_y=rows[1].targets,
        outputs=found,
        metric=metric,
        objective=aimed,
    )
    ready_holdout = None if holdout is None else ready(net, holdout, device)
    return task, ready_holdout, name, plain


def _of_scores(loss: str | LossFunction, name: str) -> LossFunction:
    found = resolved_loss(loss)
    if isinstance(found, TrainingLoss):
        raise ConfigError(f"{name} must be a function of scores and targets here; a TrainingLoss needs the model")
    return found


def _shape_of(model: nn.Module) -> str:
    """A digest of what a network is made of; its values are drawn anew and do not count."""
    return digest([str(model), *((name, list(value.shape)) for name, value in model.state_dict().items())])


def _at_best_rate(task: BaseTask, how: EvolutionSettings, plain: LossFunction, seed: int) -> tuple[BaseTask, int]:
    """The task with the learning rate that the plain loss does best with, and the metric calls that took."""
    found = []
    for rate in RATES:
        here = replace(task, rate=rate)
        learners = taught(here, PlainLosses([plain], task.outputs), steps=how.steps_in_the_end, seed=seed)
        scores = learners.predict(task.val_x)[0]
        if not bool(scores.isfinite().all()):
            found.append(math.inf)
            continue
        found.append(turned(task.metric, task.value(scores)))
    return replace(task, rate=RATES[found.index(min(found))]), len(RATES)


def _executor(executor: str | Executor, workers: int | None) -> Executor:
    if executor == "threads" or isinstance(executor, ThreadExecutor):
        raise ConfigError('threads would train on one and the same network; use executor="processes" or "ray"')
    if isinstance(executor, Executor):
        return executor
    if executor == "serial":
        return SerialExecutor()
    return make_executor(executor, workers=at_least("workers", workers or os.cpu_count() or 1, 1))


def _kept(folder: Path | None) -> tuple[SearchState | None, float]:
    """How far an earlier call came, and how long it took."""
    if folder is None or not (folder / _STATE).exists():
        return None, 0.0
    found = read_sealed(folder / _STATE)
    state, seconds = found.get("state"), found.get("seconds")
    if not isinstance(state, dict) or not isinstance(seconds, int | float):
        raise CheckpointError(f"{folder / _STATE} holds no search for losses; restore it, or begin a new run")
    return SearchState.from_plain(state), float(seconds)


def _searched(
    task: BaseTask,
    how: EvolutionSettings,
    state: SearchState | None,
    plain: LossFunction,
    seed: int,
    executor: Executor,
    folder: Path | None,
    seconds: Any,
    quiet: bool,
) -> SearchState:
    """All generations; each is kept as soon as it is there."""
    done = len(state.history) if state else 0
    with progress(how.generations + 1, f"losses for {task.metric.name}", quiet=quiet) as advance:
        advance(done)
        for found in generations(task, how, seed=seed, plain=plain, executor=executor, state=state):
            state = found
            if folder is not None:
                write_sealed(folder / _STATE, {"state": found.to_plain(), "seconds": seconds()})
            last = found.history[-1]
            value = "none yet" if math.isinf(last.best) else f"{turned(task.metric, last.best):.4g}"
            advance(note=f"{value}  {last.formula[:60]}")
    assert state is not None
    return state


def _judged(
    evolved: Learners, usual: Learners, task: BaseTask, holdout: Examples | None, confidence: float, seed: int
) -> tuple[Verdict, Scores | None]:
    """The plain loss against the evolved one on examples that nobody chose by."""
    metric = task.metric
    if holdout is None:
        values = [task.value(one.predict(task.val_x)[0]) for one in (usual, evolved)]
        return trusted(values[0], values[1], metric), None
    before, after = (flat(one.predict(holdout.inputs)[0], task.outputs) for one in (usual, evolved))
    verdict = paired_test(
        metric,
        before,
        after,
        holdout.targets,
        resamples=MOST_RESAMPLES,
        confidence=checked_confidence(confidence),
        seed=seed,
        how=resampling_of(metric.resampling, task.outputs, holdout.groups),
        groups=holdout.groups,
    )
    return verdict, Scores(
        before=before, after=after, targets=holdout.targets, judged_by=holdout.targets, kind=task.outputs
    )
