"""Do evolved losses train better networks? Against the plain loss, learned losses of other kinds, and what people use.

    METRICOPT_DATA=folder python -m studies.evolve                 an hour; rows in studies/results/evolve.jsonl
    python -m studies.evolve --tasks @rare --seeds 0-4             the imbalanced tasks alone
    python -m studies.evolve --summary                             what the rows say

Half of the rows train, a fifth chooses (fitness, scales, thresholds), the rest judges and is looked at once, at last.
All losses train the same network from the same initial values on the same batches; the learning rate is the one that
the plain loss does best with on the rows that choose. Ready-made losses may be scaled as well, which is another
learning rate; what is evolved gets no such help. Seeds cut the rows anew, so intervals are corrected for that (Nadeau
and Bengio).
"""

from __future__ import annotations

import argparse
import copy
import functools
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import metricopt
from metricopt._random import derive_seed
from metricopt.bench.interval import paired_interval
from metricopt.cli.bench import seed_numbers
from metricopt.evolution import (
    SCALES,
    EvolutionSettings,
    FormulaLosses,
    LossPopulation,
    PlainLosses,
    finals,
    flat,
    generations,
    gp_lfl,
    neural_loss,
    random_formulas,
    simplified,
    taught,
    taylor_glo,
)
from metricopt.losses import get_loss
from metricopt.metrics import Metric
from metricopt.runtime import ResultStore, RunKey, describe_environment
from studies.evolve_tasks import GROUPS, SETTINGS, STEPS, TASKS, Rows, Task, cut, metric_of

ROWS = Path(__file__).resolve().parent / "results" / "evolve.jsonl"
# --- the losses ----------------------------------------------------------------------------------------------------

Way = Callable[[Rows, int], "Found"]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a way came to: scores of the test rows, and what is to be told of it; `losses` where they can travel."""

    test: Tensor
    told: dict[str, Any]
    losses: LossPopulation | None = None


def _ready_made(name: str, *, scaled: bool = True) -> Way:
    """A loss of the library, at the scale that is best on the rows that choose."""

    def way(rows: Rows, seed: int) -> Found:
        loss = get_loss(rows.plain if name == "plain" else name)
        scales = SCALES if scaled else (1.0,)
        population = PlainLosses([functools.partial(_times, scale, loss) for scale in scales], rows.task.outputs)
        errors, _, test = rows.judged(population, seed)
        best = errors.index(min(errors))
        single = PlainLosses([functools.partial(_times, scales[best], loss)], rows.task.outputs)
        return Found(test=test[best], told={"scale": scales[best]}, losses=single)

    return way


def _times(scale: float, loss: Any, scores: Tensor, targets: Tensor) -> Tensor:
    value: Tensor = scale * loss(scores, targets)
    return value


def _aimed(rows: Rows, seed: int) -> Found:
    """The loss of the library that is aimed at the metric."""
    population = PlainLosses(
        [functools.partial(_times, scale, rows.task.objective) for scale in SCALES], rows.task.outputs
    )
    errors, _, test = rows.judged(population, seed)
    best = errors.index(min(errors))
    return Found(test=test[best], told={"scale": SCALES[best]})


def _threshold(rows: Rows, seed: int) -> Found:
    """The plain loss, and a threshold tuned on the rows that choose."""
    population = PlainLosses(
        [functools.partial(_times, scale, get_loss(rows.plain)) for scale in SCALES], rows.task.outputs
    )
    errors, val, test = rows.judged(population, seed)
    best = errors.index(min(errors))
    metric, targets = rows.task.metric, rows.task.val_y
    cuts = torch.quantile(val[best], torch.linspace(0.01, 0.99, 197))
    values = [metric.utility(metric(val[best] - one, targets)) for one in cuts]
    return Found(test=test[best] - cuts[values.index(max(values))], told={"scale": SCALES[best], "calls": len(cuts)})


def _optimized(rows: Rows, seed: int) -> Found:
    """`metricopt.optimize` on the network of the plain loss, 200 calls on the rows that choose."""
    task = rows.task
    losses = PlainLosses([get_loss(rows.plain)], task.outputs)
    learners = taught(task, losses, steps=STEPS, seed=derive_seed("judged", seed))
    net = copy.deepcopy(task.net)
    net.load_state_dict(learners.state(0))
    outcome = metricopt.optimize(
        net.eval(),
        metric=task.metric,
        train=(task.x, task.y),
        val=(task.val_x, task.val_y),
        acceptance=None,
        budget=200,
        seed=seed,
        quiet=True,
    )
    with torch.no_grad():
        return Found(test=flat(outcome.model(rows.test_x), task.outputs), told={"calls": outcome.calls})


def _evolved(change: Callable[[EvolutionSettings], EvolutionSettings]) -> Way:
    def way(rows: Rows, seed: int) -> Found:
        settings, plain, state = change(SETTINGS), get_loss(rows.plain), None
        for state in generations(rows.task, settings, seed=seed, plain=plain):
            pass
        assert state is not None
        best = finals(rows.task, settings, state, seed=seed, plain=plain)[0].candidate
        assert best is not None
        losses = FormulaLosses([best.formula], rows.task.outputs)
        _, _, test = rows.judged(losses, seed)
        told = {"formula": best.shown, "short": str(simplified(best.tree)), "calls": state.calls, **state.fates}
        return Found(test=test[0], told=told, losses=losses)

    return way


def _taylor(rows: Rows, seed: int) -> Found:
    best = taylor_glo(rows.task, SETTINGS, seed=seed)
    losses = FormulaLosses([best.formula], rows.task.outputs)
    return Found(test=rows.judged(losses, seed)[2][0], told={"formula": best.shown}, losses=losses)


def _ml3(rows: Rows, seed: int) -> Found:
    losses = neural_loss(rows.task, steps=1000, seed=seed)
    return Found(test=rows.judged(losses, seed)[2][0], told={}, losses=losses)


def _scaled(settings: EvolutionSettings) -> EvolutionSettings:
    return replace(settings, same_scale=True)


def _ours(settings: EvolutionSettings) -> EvolutionSettings:
    return replace(settings, same_scale=True, known_losses=True)


PLAIN = "plain loss, best scale"
GENERAL: dict[str, Way] = {
    "plain loss": _ready_made("plain", scaled=False),
    PLAIN: _ready_made("plain"),
    "label smoothing": _ready_made("label_smoothing"),
    "sparse label smoothing": _ready_made("sparse_label_smoothing"),
    "ML3": _ml3,
    "TaylorGLO": _taylor,
    "random formulas": _evolved(random_formulas),
    "GP-LFL": _evolved(gp_lfl),
    "EvoMAL": _evolved(lambda settings: settings),
    "EvoMAL, scaled alike": _evolved(_scaled),
    "EvoMAL, scaled alike, from known losses": _evolved(_ours),
}
RARE: dict[str, Way] = {
    PLAIN: GENERAL[PLAIN],
    "plain loss, tuned threshold": _threshold,
    "the loss aimed at the metric": _aimed,
    "plain loss, metricopt.optimize": _optimized,
    **{name: GENERAL[name] for name in GENERAL if name.startswith("EvoMAL")},
}


def ways_of(name: str) -> dict[str, Way]:
    """What is compared on a task."""
    task = TASKS[name]
    if task.rare:
        # A threshold moves no ranking.
        return {way: do for way, do in RARE.items() if not (task.metric == "average_precision" and "thresh" in way)}
    return {way: do for way, do in GENERAL.items() if task.outputs != "values" or "smoothing" not in way}


# --- rows and what they say ----------------------------------------------------------------------------------------


def key_of(name: str, way: str, seed: int, settings: EvolutionSettings = SETTINGS) -> RunKey:
    plain = settings.to_plain() | {"steps": STEPS}
    if TASKS[name].batch != Task.batch:
        plain["batch"] = TASKS[name].batch
    return RunKey(task=name, method=way, metric=TASKS[name].metric, seed=seed, settings=plain)


def run(name: str, seed: int, store: ResultStore) -> None:
    """All ways on one task and seed that are not there yet."""
    task, rows, other = TASKS[name], None, None
    for way, do in ways_of(name).items():
        key = key_of(name, way, seed)
        if key in store:
            continue
        rows = rows or cut(name, seed)
        began = time.perf_counter()
        found = do(rows, seed)
        seconds = time.perf_counter() - began
        row = {"test": rows.value(found.test), "seconds": seconds, **found.told}
        if task.transfer and found.losses is not None:
            other = other or cut(name, seed, model=task.transfer)
            row["transfer"] = other.value(other.judged(found.losses, seed)[2][0])
        store.append(key, {**row, "environment": describe_environment()})
        print(name, seed, way, row["test"], row.get("transfer"), row.get("short", ""), f"{seconds:.0f} s", flush=True)


def summary(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table for each task: the mean test figure, and the difference to the plain loss at its best scale."""
    lines: list[str] = []
    for name in dict.fromkeys(row["task"] for row in rows):
        here = [row for row in rows if row["task"] == name]
        metric = metric_of(TASKS[name].metric)
        by_way = {
            way: {row["seed"]: row for row in here if row["method"] == way}
            for way in dict.fromkeys(row["method"] for row in here)
        }
        better = "higher" if metric.higher_is_better else "lower"
        transfer = TASKS[name].transfer
        head = ["loss", f"{TASKS[name].metric} ({better} is better)", "better than the plain loss by", "formulas"]
        if transfer:
            head.insert(3, f"the same loss on {transfer}")
        lines += [f"### {name}", "", "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
        for way, found in by_way.items():
            lines.append("| " + " | ".join(_cells(way, found, by_way.get(PLAIN, {}), metric, bool(transfer))) + " |")
        lines.append("")
    return "\n".join(lines)


def _cells(way: str, found: Mapping[int, Any], plain: Mapping[int, Any], metric: Metric, transfer: bool) -> list[str]:
    values = [row["test"] for row in found.values() if row["test"] is not None]
    failed = len(found) - len(values)
    told = f"{statistics.fmean(values):.4f}" if values else "none"
    cells = [way, told + (f" ({failed} of {len(found)} diverged)" if failed else "")]
    cells.append("" if way == PLAIN else corrected(found, plain, metric))
    if transfer:
        moved = [row["transfer"] for row in found.values() if row.get("transfer") is not None]
        cells.append(f"{statistics.fmean(moved):.4f}" if moved else "")
    shorts = [row["short"] for row in found.values() if "short" in row]
    cells.append("; ".join(f"`{short}`" for short in sorted(shorts, key=len)[:2]))
    return cells


def corrected(found: Mapping[int, Any], plain: Mapping[int, Any], metric: Metric) -> str:
    """Mean paired difference and its interval, corrected for rows that are cut anew: 3 test rows on 5 to train on."""
    sign = 1 if metric.higher_is_better else -1
    both = [seed for seed in found if seed in plain and None not in (found[seed]["test"], plain[seed]["test"])]
    if not both:
        return ""
    pair = paired_interval([sign * found[s]["test"] for s in both], [sign * plain[s]["test"] for s in both])
    if pair.half is None:
        return f"{pair.mean:+.4f}"
    half = pair.half * math.sqrt(1 + len(both) * 3 / 5)
    mark = " ▲" if pair.mean > half else " ▼" if pair.mean < -half else ""
    return f"{pair.mean:+.4f} ± {half:.4f}{mark}"


def names_of(text: str) -> list[str]:
    """Task names; @quick, @small, @rare and @images stand for theirs."""
    return [one for name in text.split(",") for one in GROUPS.get(name, (name,))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default="@quick")
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--summary", action="store_true")
    parser.add_argument("--write", type=Path, help="a page whose block `evolve` is renewed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    store = ResultStore(ROWS)
    for seed in () if options.summary else seed_numbers(options.seeds) or ():
        for name in names_of(options.tasks):
            run(name, seed, store)
    text = summary(store.rows())
    print(text)
    if options.write:
        from metricopt.bench.printed import rewrite_block

        rewrite_block(options.write, "evolve", text)


if __name__ == "__main__":
    main()
