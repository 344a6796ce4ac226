"""Which problems, methods, seeds and budgets a preset of the arena holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..._registry import Registry
from ...methods import METHODS
from .problems import ARENA, DEVELOPMENT
from .run import OUTSIDE, ArenaRun, ordered

#: What MetricOpt is ranked against: what people use, and what papers of its kind propose.
RIVALS = (
    "as_trained",
    "threshold",
    "random_search",
    "cma_es",
    "trust_region_bo",
    "trust_region_bo_shift",
    "two_point",
    "example_weighting",
    "adaptive_surrogates",
    "surrogate",
    "whole_network",
    "metricopt_phi",
    "metricopt_paper",
    "metricopt",
)
#: What the value function itself is worth: the same proposers without one, with a wrong one, and no proposer but
#: chance.
CONTROLS = ("untrained_scores", "permuted_scores", "mixtures")
_FEW = (
    "as_trained",
    "threshold",
    "random_search",
    "cma_es",
    "trust_region_bo",
    "example_weighting",
    "surrogate",
    "metricopt_phi",
    "metricopt",
)
_QUICK = (
    "a9a:f2",
    "a9a_balanced:mcc",
    "magic:cost",
    "spambase:cost",
    "telco_churn:queue",
    "mammography:average_precision",
    "annthyroid:f2",
    "page_blocks:g_mean",
    "covertype:worst_recall",
    "covertype:macro_f1",
    "wine_grades:quadratic_kappa",
    "digits_tail:worst_recall",
    "houses:stock",
    "mnist_tail:worst_three",
)


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Runs of the arena.

    Args:
        title: what it is for.
        problems, methods: names.
        seeds, calls: of each.
    """

    title: str
    problems: tuple[str, ...]
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    calls: tuple[int, ...]

    def runs(self) -> Iterator[ArenaRun]:
        """All of them, those on the same model together."""
        return ordered(
            ArenaRun(problem=problem, method=method, seed=seed, calls=calls)
            for seed in self.seeds
            for problem in self.problems
            for calls in self.calls
            for method in self.methods
        )


PRESETS: Registry[Preset] = Registry("preset of the arena")
PRESETS.add(
    "smoke",
    Preset(
        title="a minute, on data that come with the package",
        problems=("drift:worst_group", "digits_tail:macro_f1", "diabetes:stock"),
        methods=("as_trained", "threshold", "random_search", "metricopt"),
        seeds=(0,),
        calls=(20,),
    ),
)
PRESETS.add(
    "quick",
    Preset(
        title="some 20 minutes on two cores",
        problems=_QUICK,
        methods=_FEW,
        seeds=(0,),
        calls=(20, 100),
    ),
)
PRESETS.add(
    "full",
    Preset(
        title="a day on two cores, an hour on a cluster",
        problems=tuple(ARENA),
        methods=(*RIVALS, *CONTROLS),
        seeds=(0, 1, 2, 3, 4),
        calls=(10, 20, 50, 100, 200, 1000),
    ),
)


#: Problems with a short phi, and with a long one.
_HALVES = (("tables", False), ("images", True))


def chosen_preset(
    name: str,
    *,
    problems: tuple[str, ...] | None,
    methods: tuple[str, ...] | None,
    seeds: tuple[int, ...] | None,
    calls: tuple[int, ...] | None,
) -> Preset:
    """The preset of this name with what is given in place of its own; unknown names raise with a suggestion."""
    groups = {f"@{kind}": [one for one, about in ARENA.items() if about.high == high] for kind, high in _HALVES}
    if problems is not None:
        problems = tuple(one for name in problems for one in groups.get(name, [name]))
    for one in problems or ():
        _ = DEVELOPMENT[one] if one in DEVELOPMENT else ARENA[one]
    for one in methods or ():
        if one not in OUTSIDE:
            _ = METHODS[one]
    given = {"problems": problems, "methods": methods, "seeds": seeds, "calls": calls}
    return replace(PRESETS[name], **{key: value for key, value in given.items() if value is not None})  # type: ignore[arg-type]
