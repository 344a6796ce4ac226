"""Is the result ever worse than the start? Random small problems, half of them with nothing to gain.

    python studies/never_worse.py                  400 problems, rows appended to studies/results/never_worse.jsonl
    python studies/never_worse.py --count 40       fewer
    python studies/never_worse.py --summary        what the rows say

A problem is a random labelling rule, a small network trained on it for a while, a metric and a few hundred validation
rows. Whatever `metricopt.optimize` returns is rated on 20,000 fresh rows; "worse" means worse there by more than two
paired bootstrap standard errors.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from metricopt import Metric, get_metric, optimize
from metricopt.runtime import ResultStore, RunKey, describe_environment

HERE = Path(__file__).resolve().parent
ROWS = HERE / "results" / "never_worse.jsonl"
FRESH = 20_000
METRICS = ("f1", "accuracy", "balanced_accuracy", "mcr", "jaccard", "mcc", "g_mean", "average_precision", "auroc")
#: Part of every key: rows of an earlier search are not those of this one.
SEARCH = "profiles"
#: Ways in which there is something to gain, or nothing.
STATES = ("as trained", "shifted scores", "barely trained", "noise labels", "best possible")


@dataclass(frozen=True, kw_only=True)
class SmallProblem:
    """Everything random about one problem, drawn from `number` alone."""

    number: int
    state: str
    metric: str
    classes: int
    features: int
    train_rows: int
    val_rows: int
    rare: float
    noise: float
    calls: int

    @staticmethod
    def draw(number: int) -> SmallProblem:
        source = torch.Generator().manual_seed(1_000_003 * (number + 1))

        def pick(low: float, high: float) -> float:
            return low + (high - low) * float(torch.rand((), generator=source))

        multiclass = pick(0, 1) < 0.25
        metric = METRICS[int(pick(0, len(METRICS) - (2 if multiclass else 0)))]
        return SmallProblem(
            number=number,
            state=STATES[number % len(STATES)],
            metric=metric,
            classes=3 if multiclass else 2,
            features=int(pick(2, 9)),
            train_rows=int(pick(100, 500)),
            val_rows=int(2 ** pick(5.5, 10.5)),
            rare=pick(0.1, 0.5),
            noise=pick(0.1, 1.5),
            calls=int(pick(150, 400)),
        )


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What became of one problem: gains are utilities, positive is better."""

    accepted: bool
    believed: float
    fresh: float
    error: float
    calls: int

    @property
    def worse(self) -> bool:
        return self.fresh < -2 * self.error


def meet(problem: SmallProblem) -> Fate:
    """Train, optimise, and rate the result on fresh rows."""
    source = torch.Generator().manual_seed(7_000_003 * (problem.number + 1))
    rule = _Rule(problem, source)
    (x, y), val, fresh = rule.rows(problem.train_rows), rule.rows(problem.val_rows), rule.rows(FRESH)
    model = _trained(problem, rule, x, y, source)
    metric = get_metric(problem.metric)
    outcome = optimize(
        model, metric=metric, train=(x, y), val=val, budget=problem.calls, seed=problem.number, quiet=True
    )
    with torch.no_grad():
        before, after = model(fresh[0]), outcome.model(fresh[0])
    gain, error = _paired(metric, before, after, fresh[1], source)
    unit = metric.bounds[1] - metric.bounds[0]
    believed = (outcome.after - outcome.before) * (1 if metric.higher_is_better else -1) / unit
    return Fate(accepted=outcome.accepted, believed=believed, fresh=gain, error=error, calls=outcome.calls)


class _Rule:
    """Labels from a random quadratic rule with noise; the same rule draws all rows."""

    def __init__(self, problem: SmallProblem, source: torch.Generator) -> None:
        self.problem, self.source = problem, source
        outputs = 1 if problem.classes == 2 else problem.classes
        self.linear = torch.randn(problem.features, outputs, generator=source)
        self.square = 0.4 * torch.randn(problem.features, outputs, generator=source)
        sample = self._latent(torch.randn(20_000, problem.features, generator=source))
        self.cut = torch.quantile(sample, 1 - problem.rare, dim=0) if outputs == 1 else sample.mean(dim=0)

    def rows(self, count: int) -> tuple[Tensor, Tensor]:
        """At least one row of each class, as a user's data would have."""
        x = torch.randn(count, self.problem.features, generator=self.source)
        latent = self._latent(x) - self.cut
        latent = latent + self.problem.noise * torch.randn(latent.shape, generator=self.source)
        if self.problem.state == "noise labels":
            latent = torch.randn(latent.shape, generator=self.source) - (0.8 if latent.shape[1] == 1 else 0.0)
        y = (latent[:, 0] > 0).long() if latent.shape[1] == 1 else latent.argmax(dim=1)
        for label in range(self.problem.classes):
            if not bool((y == label).any()):
                y[label] = label
        return x, y

    def scores(self, x: Tensor) -> Tensor:
        """What the rule itself would say: nobody can rank better."""
        return self._latent(x) - self.cut

    def _latent(self, x: Tensor) -> Tensor:
        return x @ self.linear + x.square() @ self.square


def _trained(problem: SmallProblem, rule: _Rule, x: Tensor, y: Tensor, source: torch.Generator) -> nn.Module:
    outputs = 1 if problem.classes == 2 else problem.classes
    with torch.random.fork_rng():
        torch.manual_seed(problem.number)
        model = nn.Sequential(nn.Linear(problem.features, 12), nn.ReLU(), nn.Linear(12, outputs))
    target = y.float() if outputs == 1 else y
    loss = nn.functional.binary_cross_entropy_with_logits if outputs == 1 else nn.functional.cross_entropy
    best_possible = problem.state == "best possible"
    if best_possible:  # plenty of data, so that hardly anything is left to gain
        x, y = rule.rows(8_000)
        target = y.float() if outputs == 1 else y
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(5 if problem.state == "barely trained" else 150):
        rows = torch.randint(len(x), (256,), generator=source)
        optimizer.zero_grad()
        scores = model(x[rows])
        loss(scores[:, 0] if outputs == 1 else scores, target[rows]).backward()
        optimizer.step()
    if problem.state == "shifted scores":
        with torch.no_grad():
            last = model[-1]
            assert isinstance(last, nn.Linear)
            last.bias += 1.5 * torch.randn(outputs, generator=source)
    return model.eval()


def _paired(metric: Metric, before: Tensor, after: Tensor, y: Tensor, source: torch.Generator) -> tuple[float, float]:
    gain = metric.utility(metric(after, y)) - metric.utility(metric(before, y))
    if torch.equal(before, after):
        return 0.0, 0.0
    drawn = []
    for _ in range(40):
        rows = torch.randint(len(y), (len(y),), generator=source)
        drawn.append(metric.utility(metric(after[rows], y[rows])) - metric.utility(metric(before[rows], y[rows])))
    return gain, float(torch.tensor(drawn).std())


def summary(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line a state, and the figure that is promised."""
    lines = [
        "| problems | count | accepted | worse on fresh rows | mean gain of the accepted |",
        "|---|---:|---:|---:|---:|",
    ]
    for state in [*STATES, "all"]:
        mine = [row for row in rows if state in ("all", row["problem"]["state"])]
        accepted = [row for row in mine if row["accepted"]]
        worse = sum(row["worse"] for row in mine)
        gain = sum(row["fresh"] for row in accepted) / max(len(accepted), 1)
        lines.append(f"| {state} | {len(mine)} | {len(accepted)} | {worse} | {gain:+.4f} |")
    told = [row for row in rows if row["accepted"]]
    believed, fresh = (sum(row[name] for row in told) / max(len(told), 1) for name in ("believed", "fresh"))
    lines += ["", f"What was accepted was believed to gain {believed:+.4f} on average, and gains {fresh:+.4f}."]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--summary", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    store = ResultStore(ROWS)
    done = store.digests()
    for number in range(0 if options.summary else options.count):
        problem = SmallProblem.draw(number)
        settings = {**asdict(problem), "search": SEARCH}
        key = RunKey(task="small", method="optimize", metric=problem.metric, seed=number, settings=settings)
        if key.digest not in done:
            fate = meet(problem)
            row = asdict(fate) | {"worse": fate.worse, "problem": asdict(problem)}
            store.append(key, row | {"environment": describe_environment()})
            print(json.dumps(row), flush=True)
    print(summary(store.rows()))


if __name__ == "__main__":
    main()
