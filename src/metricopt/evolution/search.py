"""The search for losses: generations of formulas, filtered, tuned, trained and judged."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import final

from .._errors import ConfigError
from .._random import derive_seed, generator
from .._types import LossFunction
from ..runtime import Executor, SerialExecutor
from .candidate import Candidate, Try, tried
from .canonical import canonical
from .filters import can_train, slope_key, slopes_of
from .formula import Formula
from .genetic import Breeder, elite
from .learners import BaseTask, Learners, taught, turned
from .loss_population import FormulaLosses, PlainLosses
from .settings import EvolutionSettings
from .state import FATES, Generation, SearchState, with_hall
from .text import parse

#: What the plain loss is multiplied by in the final trainings.
SCALES = (0.3, 1.0, 3.0, 10.0)


#: Losses that everyone knows, as formulas.
KNOWN = {
    "classes": (
        "square(y - f(x))",
        "abs(y - f(x))",
        "-1 * (y * log(f(x)))",
        "-1 * (y * log(f(x)) + (1 - y) * log(1 - f(x)))",
        "square(y - f(x)) * (1 + y)",
    ),
    "values": ("square(y - f(x))", "abs(y - f(x))", "sqrt(1 + square(y - f(x)))"),
}


@final
@dataclass(frozen=True, kw_only=True)
class Final:
    """A loss trained for long, with several seeds, in the end.

    Args:
        candidate: None for the plain loss.
        scale: that the plain loss was multiplied by: as good as another learning rate.
        errors: on the validation rows, one for each seed, less is better.
        learner: the network of the first seed.
    """

    candidate: Candidate | None
    errors: tuple[float, ...]
    learner: Learners = field(repr=False)
    scale: float = 1.0

    @property
    def error(self) -> float:
        """The mean."""
        return statistics.fmean(self.errors)


def generations(
    task: BaseTask,
    settings: EvolutionSettings,
    *,
    seed: int,
    plain: LossFunction,
    executor: Executor | None = None,
    state: SearchState | None = None,
) -> Iterator[SearchState]:
    """The state after each generation. Stopped after any one and given its state, it goes on to the very same result.

    Args:
        task: what losses are tried on.
        settings: how long and how widely.
        seed: of everything random.
        plain: the loss to compare with, trained once at the beginning; a metric that cannot rate it raises.
        executor: its workers share the candidates of a generation.
        state: to go on from.

    Raises:
        MetricError: the metric failed on the network that was trained with the plain loss.
        JobFailed: a worker failed for another reason than a candidate.
    """
    state = state or SearchState(baseline=_plain_error(task, settings, plain, seed), calls=1)
    ask = partial(_shared, task, settings, seed, executor or SerialExecutor())
    while len(state.history) < settings.generations + 1:
        state = _next(state, task, settings, seed, ask)
        yield state


def finals(
    task: BaseTask,
    settings: EvolutionSettings,
    state: SearchState,
    *,
    seed: int,
    plain: LossFunction,
    watch: Callable[[int], None] = lambda step: None,
) -> list[Final]:
    """The best candidates and the plain loss trained for long with other seeds: the winner first, the plain loss last.

    The best of hundreds by one short training is partly luck. So the best of each of several sizes are trained again,
    and the winner is the smallest that is within a standard error of the best. A formula can win by
    its size alone, which is another learning rate; so the plain loss may be scaled as well, and the best scale counts.
    """
    best = state.front[-settings.finalists :]
    if not best:
        raise ConfigError(
            f"none of the {sum(state.fates.values())} formulas could train the network ({_told(state)}); raise "
            "generations, population or train_steps, or look at the learning rate"
        )
    losses = FormulaLosses([one.formula for one in best], task.outputs)
    scaled = PlainLosses([_scaled(plain, scale) for scale in SCALES], task.outputs)
    errors: list[list[float]] = [[] for _ in range(len(best) + len(SCALES))]
    kept: list[Learners] = []
    for number in range(settings.final_seeds):
        ours = derive_seed("final", seed, number)
        for start, population in ((0, losses), (len(best), scaled)):
            learners = taught(task, population, steps=settings.steps_in_the_end, seed=ours, watch=watch)
            for at, scores in enumerate(learners.predict(task.val_x)):
                errors[start + at].append(task.error(scores))
                if number == 0:
                    kept.append(learners.member(at))
    all_of = [tuple(each) for each in errors]
    found = [
        Final(candidate=one, errors=each, learner=learner)
        for one, each, learner in zip(best, all_of, kept, strict=False)
    ]
    plains = [
        Final(candidate=None, errors=each, learner=learner, scale=scale)
        for scale, each, learner in zip(SCALES, all_of[len(best) :], kept[len(best) :], strict=True)
    ]
    ranked = sorted(found, key=lambda one: one.error)
    winner = min((one for one in ranked if _as_good(one, ranked[0])), key=_size)
    return [winner, *(one for one in ranked if one is not winner), min(plains, key=lambda one: one.error)]


# --- inside --------------------------------------------------------------------------------------------------------


def _plain_error(task: BaseTask, settings: EvolutionSettings, plain: LossFunction, seed: int) -> float:
    learners = taught(task, PlainLosses([plain], task.outputs), steps=settings.train_steps, seed=seed)
    return turned(task.metric, task.value(learners.predict(task.val_x)[0]))


def _as_good(one: Final, best: Final) -> bool:
    """Whether one is worse than the best by no more than a standard error of the difference over seeds."""
    differences = [mine - its for mine, its in zip(one.errors, best.errors, strict=True)]
    if not all(map(math.isfinite, differences)):
        return one is best
    error = statistics.stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else 0.0
    return statistics.fmean(differences) <= error


def _size(one: Final) -> int:
    return one.candidate.tree.size if one.candidate else 0


def _scaled(loss: LossFunction, scale: float) -> LossFunction:
    return lambda scores, targets: scale * loss(scores, targets)


def _next(state: SearchState, task: BaseTask, settings: EvolutionSettings, seed: int, ask: Try) -> SearchState:
    number = len(state.history)
    breeder = Breeder(settings, generator("breeding", seed, number))
    if number == 0 or settings.strategy == "random":
        kept: list[Candidate] = []
        trees = breeder.first(settings.population)
        if number == 0 and settings.known_losses:
            known = [parse(text) for text in KNOWN["values" if task.outputs == "values" else "classes"]]
            trees = [*known, *trees][: settings.population]
    else:
        errors = [one.error for one in state.population]
        kept = [state.population[at] for at in elite(errors, settings.elite_count)]
        formulas = [one.tree for one in state.population]
        trees = breeder.offspring(formulas, errors, settings.population - len(kept))
    candidates, fates, state = _judged(state, task, settings, [canonical(tree) for tree in trees], ask)
    state = with_hall(state, candidates)
    errors = [one.error for one in (*kept, *candidates) if one.error < math.inf]
    best = state.hall[0] if state.hall else None
    entry = Generation(
        best=best.error if best else math.inf,
        median=statistics.median(errors) if errors else math.inf,
        size=float(statistics.median(one.tree.size for one in (*kept, *candidates))),
        fates={fate: fates[fate] for fate in FATES},
        formula=best.shown if best else "none yet",
    )
    return replace(
        state, population=(*kept, *candidates), history=(*state.history, entry), calls=state.calls + fates["trained"]
    )


def _judged(
    state: SearchState, task: BaseTask, settings: EvolutionSettings, trees: Sequence[Formula], ask: Try
) -> tuple[list[Candidate], Counter[str], SearchState]:
    """The candidates of these trees; only what the filters let through is trained."""
    archive, slopes = dict(state.archive), dict(state.slopes)
    fates: Counter[str] = Counter()
    found: dict[int, Candidate] = {}
    waiting: dict[int, str] = {}  # the place of a candidate, and whose figure it takes
    fresh: dict[str, Formula] = {}

    def failed(at: int, fate: str) -> None:
        fates[fate] += 1
        found[at] = archive[str(trees[at])] = Candidate(trees[at], (), math.inf)

    keys = dict(zip(map(str, trees), map(slope_key, slopes_of(trees, task.outputs)), strict=True))
    passing = _passing(trees, keys, archive, slopes, task, settings)
    for at, tree in enumerate(trees):
        name = str(tree)
        key = keys[name]
        if settings.archive and (name in archive or name in fresh):
            fates["archive"] += 1
            waiting[at] = name
        elif not tree.is_loss or key is None:
            failed(at, "constant")
        elif settings.same_slopes and key in slopes:
            fates["same slopes"] += 1
            waiting[at] = slopes[key]
        elif name not in passing:
            failed(at, "rejected")
        else:
            fates["trained"] += 1
            slopes.setdefault(key, name)
            fresh[name if settings.archive else f"{name} #{at}"] = tree
            waiting[at] = name
    for name, candidate in zip(fresh, ask([str(tree) for tree in fresh.values()]), strict=True):
        archive[name.partition(" #")[0]] = candidate
        fates["failed"] += candidate.error == math.inf
    for at, name in waiting.items():
        found[at] = archive[str(trees[at])] = archive[name]
    return [found[at] for at in range(len(trees))], fates, replace(state, archive=archive, slopes=slopes)


def _passing(
    trees: Sequence[Formula],
    keys: dict[str, str | None],
    archive: dict[str, Candidate],
    slopes: dict[str, str],
    task: BaseTask,
    settings: EvolutionSettings,
) -> set[str]:
    """Names of the trees that the rejection protocol lets through; of those that need no training it is not asked."""
    asked = {
        name: tree
        for tree in trees
        if (name := str(tree)) not in (archive if settings.archive else ())
        and keys[name] is not None
        and not (settings.same_slopes and keys[name] in slopes)
    }
    if not settings.rejection_steps:
        return set(asked)
    passed = can_train(list(asked.values()), task.outputs, steps=settings.rejection_steps)
    return {name for name, well in zip(asked, passed, strict=True) if well}


def _shared(
    task: BaseTask, settings: EvolutionSettings, seed: int, executor: Executor, trees: list[str]
) -> list[Candidate]:
    """Candidates in order, tried in groups of `side_by_side`, spread over the workers."""
    size = min(settings.side_by_side, max(1, -(-len(trees) // executor.workers)))
    groups = [trees[start : start + size] for start in range(0, len(trees), size)]
    done: dict[int, list[Candidate]] = {}
    for outcome in executor.map(partial(tried, task, settings=settings, seed=seed), groups):
        done[outcome.index] = outcome.result()
    return [candidate for at in range(len(groups)) for candidate in done[at]]


def _told(state: SearchState) -> str:
    return ", ".join(f"{count} {fate}" for fate, count in state.fates.items() if count)
