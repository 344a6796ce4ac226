"""One run of the arena: a method on a problem with a seed and a budget, judged on rows that it never saw."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ... import __version__
from ..._checks import at_least
from ..._random import generator
from ...adapters import InputBias, OutputShift, attach
from ...job.adaptation import adapt
from ...losses import aimed_loss
from ...methods import METHODS, LossFinetune, Method
from ...metrics import Budget, Metric
from ...problem import Problem
from ...runtime import RunKey, describe_environment
from ...workload import Examples, TensorWorkload, Workload, resample
from .bases import training_loss
from .materials import Arena, Part
from .problems import ARENA, DEVELOPMENT, ArenaProblem

#: Methods that need what only the arena holds: the whole network, or the loss that is aimed at the metric.
OUTSIDE = {
    "surrogate": "the loss aimed at the metric, finetuning phi",
    "whole_network": "the same loss, finetuning the whole network",
}
#: Share of the judged rows that the acceptance test is made on; the rest says whether it was right.
_ACCEPTANCE, _RESAMPLES, _STDERR = 0.4, 60, 1.96


@dataclass(frozen=True, kw_only=True)
class ArenaRun:
    """Plain values: it travels to workers.

    >>> run = ArenaRun(problem="drift:worst_group", method="threshold", seed=0, calls=20)
    >>> run.title
    'drift:worst_group threshold seed 0, 20 calls'
    """

    problem: str
    method: str
    seed: int
    calls: int

    def __post_init__(self) -> None:
        at_least("calls", self.calls, 1)

    @property
    def about(self) -> ArenaProblem:
        return DEVELOPMENT[self.problem] if self.problem in DEVELOPMENT else ARENA[self.problem]

    @property
    def title(self) -> str:
        return f"{self.problem} {self.method} seed {self.seed}, {self.calls} calls"

    @property
    def key(self) -> RunKey:
        method = {} if self.method in OUTSIDE else asdict(METHODS[self.method].method)  # type: ignore[call-overload]
        base, _, judge = self.problem.partition(":")
        settings = {"calls": self.calls, "method": method}
        return RunKey(task=base, method=self.method, metric=judge, seed=self.seed, settings=settings)


def applies(problem: ArenaProblem, method: str, outputs: str) -> bool:
    """Whether a method works on outputs of this kind."""
    kinds = () if method in OUTSIDE else METHODS[method].card.kinds
    return not kinds or outputs in kinds


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A built problem: its rows and a workload for each set of adapters."""

    arena: Arena
    workloads: dict[str, Workload]

    def workload(self, adapters: str) -> Workload:
        if adapters not in self.workloads:
            self.workloads[adapters] = _workload(self.arena, adapters)
            self.workloads[adapters].prepare()
        return self.workloads[adapters]


@functools.lru_cache(maxsize=1)
def bench(base: str, seed: int) -> Bench:
    """Problems with the same base share a model and its rows. A process keeps its last one: runs come so ordered."""
    problem = next(one for one in (*ARENA.values(), *DEVELOPMENT.values()) if one.base == base)
    return Bench(arena=problem.build(seed), workloads={})


def perform(run: ArenaRun) -> dict[str, Any]:
    """The row of one run: test figures before and after, what it believed, and what it spent.

    `gain` and `start` are of the judged rows; `accepted` says what an acceptance test on two fifths of these would
    say, `judged` and `judged_error` are the gain on the other three fifths and its standard error.
    """
    problem = run.about
    here = bench(problem.base, run.seed)
    arena = here.arena
    if not applies(problem, run.method, arena.outputs):
        return {"applies": False}
    if run.method == "whole_network":
        outputs, spent = _whole_network(arena, problem, run)
    else:
        outputs, spent = _of_phi(here, problem, run)
    test = problem.metric(arena.test)
    before, after = (test(one, arena.test.y) for one in outputs)
    environment = describe_environment()
    return {
        "applies": True,
        "high": problem.high,
        "start": before,
        "test": after,
        "gain": after - before,
        **spent,
        **_accepted(problem, arena.test, outputs, run.seed),
        "environment": environment,
        "version": __version__,
    }


# --- inside --------------------------------------------------------------------------------------------------------


def _of_phi(here: Bench, problem: ArenaProblem, run: ArenaRun) -> tuple[tuple[Tensor, Tensor], dict[str, Any]]:
    arena = here.arena
    method: Method
    if run.method == "surrogate":
        method, adapters = LossFinetune(), "shifted"
        loss = _aimed_loss(run, arena)
    else:
        entry = METHODS[run.method]
        method, adapters, loss = entry.method, entry.card.adapters, None
    workload = here.workload(adapters)
    if loss is not None:
        workload = workload.with_loss(loss)
    live = Problem(workload, metric=problem.metric(arena.search), budget=Budget())
    result = method.run(live, seed=run.seed, budget=Budget(calls=run.calls))
    points = torch.stack([workload.start, result.phi])
    found = workload.predict(points, of=Examples(inputs=arena.test.x, targets=arena.test.y)).cpu()
    best = float(result.utilities.max()) if len(result.utilities) else None
    first = float(result.utilities[0]) if len(result.utilities) else None
    spent = {
        "dim": workload.dim,
        "calls": result.calls,
        "seconds": result.seconds,
        "search_start": first,
        "search_best": best,
        "diagnostics": dict(result.diagnostics),
    }
    return (found[0], found[1]), spent


def _workload(arena: Arena, adapters: str) -> TensorWorkload:
    model, probe = copy.deepcopy(arena.model).eval(), arena.train.x[:8]
    if adapters == "shift":
        adapted = attach(model, OutputShift(), probe=probe)
    elif arena.adapters == "auto":
        kind: Any = arena.outputs
        auto = adapt(model, "auto", dim=16, probe=probe, kind=kind)
        adapted = (
            attach(copy.deepcopy(arena.model).eval(), InputBias(dim=16), probe=probe) if adapters == "paper" else auto
        )
    else:
        inside, where = arena.adapters
        chosen = inside[:1] if adapters == "paper" else inside
        adapted = attach(model, chosen, where=where, probe=probe)
    return TensorWorkload(
        adapted,
        loss=training_loss(arena.outputs),
        train=Examples(inputs=arena.train.x, targets=arena.train.y),
        val=Examples(inputs=arena.search.x, targets=arena.search.y),
        outputs=arena.outputs,
        batch_size=256 if arena.adapters != "auto" else 512,
    )


#: Which loss of the library is aimed at a judge, by the name of the metric that it is or comes nearest to.
_AIMS = {
    "f2": "f_beta(beta=2.0)",
    "mcc": "mcc",
    "g_mean": "g_mean",
    "average_precision": "average_precision",
    "profit": "average_precision",
    "queue": "average_precision",
    "cost": "cost",
    "worst_group": "balanced_accuracy",
    "macro_f1": "f1",
    "macro_precision": "average_precision",
    "multi_g_mean": "g_mean",
    "worst_recall": "balanced_accuracy",
    "worst_three": "balanced_accuracy",
    "accuracy": "accuracy",
}


def _aimed_loss(run: ArenaRun, arena: Arena) -> Any:
    """The first loss aimed at the metric that takes these targets; else class-weighted or plain training loss."""
    judge = run.problem.partition(":")[2]
    found = aimed_loss(_AIMS[judge], arena.outputs) if judge in _AIMS else None
    if found is not None:
        return found
    return training_loss(arena.outputs)


def _whole_network(arena: Arena, problem: ArenaProblem, run: ArenaRun) -> tuple[tuple[Tensor, Tensor], dict[str, Any]]:
    """Finetune all weights on the aimed loss, look at the metric as often as the budget allows, keep the best."""
    loss, metric = _aimed_loss(run, arena), problem.metric(arena.search)
    net = copy.deepcopy(arena.model).eval()  # batch norm keeps its statistics
    stepper = torch.optim.Adam(net.parameters(), 1e-4)
    source = generator("whole network", run.seed)
    start = _outputs(net, arena.test.x)
    first = best = metric.utility(metric(_outputs(net, arena.search.x), arena.search.y))
    kept, spent = start, 1
    while spent < min(run.calls, 50):
        for rows in torch.randint(len(arena.train.y), (10, 128), generator=source):
            stepper.zero_grad()
            loss(net(arena.train.x[rows]), arena.train.y[rows]).backward()
            stepper.step()
        utility = metric.utility(metric(_outputs(net, arena.search.x), arena.search.y))
        spent += 1
        if utility > best:
            best, kept = utility, _outputs(net, arena.test.x)
    found = {"dim": sum(p.numel() for p in net.parameters()), "calls": spent, "seconds": 0.0}
    return (start, kept), {**found, "search_start": first, "search_best": best, "diagnostics": {}}


@torch.no_grad()
def _outputs(net: nn.Module, x: Tensor) -> Tensor:
    return torch.cat([net(part) for part in x.split(500)])


def _accepted(problem: ArenaProblem, test: Part, outputs: Sequence[Tensor], seed: int) -> dict[str, Any]:
    """What an acceptance test on some of the test rows says of the change, and what the others say."""
    order = torch.randperm(len(test.y), generator=generator("acceptance rows", seed))
    cut = int(_ACCEPTANCE * len(order))
    first, rest = order[:cut], order[cut:]
    gain, error = _gain(problem, test, outputs, first, seed)
    judged, judged_error = _gain(problem, test, outputs, rest, seed)
    accepted = gain > _STDERR * error and gain > 0
    return {"accepted": accepted, "judged": judged, "judged_error": judged_error}


def _gain(problem: ArenaProblem, test: Part, outputs: Sequence[Tensor], rows: Tensor, seed: int) -> tuple[float, float]:
    """The gain on some rows and its standard error by the bootstrap."""

    def metric_of(index: Tensor) -> float:
        part = Part(x=test.x[:0], y=test.y[index], about=test.about[index])
        metric: Metric = problem.metric(part)
        before, after = (metric.utility(metric(one[index], part.y)) for one in outputs)
        return after - before

    whole = metric_of(rows)
    if bool((outputs[0] == outputs[1]).all()):
        return whole, 0.0
    source = generator("acceptance resamples", seed)
    drawn = [metric_of(rows[resample(test.y[rows], "rows", generator=source)]) for _ in range(_RESAMPLES)]
    mean = math.fsum(drawn) / len(drawn)
    return whole, math.sqrt(math.fsum((one - mean) ** 2 for one in drawn) / (len(drawn) - 1))


def ordered(runs: Iterable[ArenaRun]) -> Iterator[ArenaRun]:
    """Runs on the same model and rows together, seed by seed."""
    return iter(sorted(runs, key=lambda run: (run.seed, [*ARENA, *DEVELOPMENT].index(run.problem))))
