"""The scikit-learn estimators beside those that people use: five-fold cross-validation on tables of 768 to 7,200 rows.

    METRICOPT_DATA=folder python studies/estimators.py     rows appended to studies/results/estimators.jsonl
    python studies/estimators.py --summary                 what the rows say

Each contender is fitted inside the fold with the defaults of its package. "Network, as trained" is the very network of
the line below with the shift that was found taken off again. Tables whose files are not there are left out.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import balanced_accuracy_score, f1_score
from sklearn.model_selection import StratifiedKFold, TunedThresholdClassifierCV

from metricopt import MetricOptClassifier
from metricopt.bench.interval import paired_interval
from metricopt.runtime import ResultStore, RunKey, describe_environment
from studies.anyloss.data import DATA

HERE = Path(__file__).resolve().parent
ROWS = HERE / "results" / "estimators.jsonl"
TABLES = ("pima", "german", "red_wine", "digits_8", "synthetic_5", "phoneme", "page_blocks", "annthyroid")
METRICS: dict[str, Callable[..., float]] = {"f1": f1_score, "balanced_accuracy": balanced_accuracy_score}
FOLDS = 5


def trees() -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(random_state=0)


#: Name and what is fitted.
CONTENDERS: dict[str, Callable[[str], Any]] = {
    "boosted trees": lambda metric: trees(),
    "boosted trees, TunedThresholdClassifierCV": lambda metric: TunedThresholdClassifierCV(
        trees(), scoring=metric, random_state=0
    ),
    "boosted trees, MetricOptClassifier": lambda metric: MetricOptClassifier(metric, base=trees(), random_state=0),
    "boosted trees, MetricOptClassifier, untested": lambda metric: MetricOptClassifier(
        metric, base=trees(), acceptance=None, random_state=0
    ),
    "network, MetricOptClassifier": lambda metric: MetricOptClassifier(metric, random_state=0),
    "network, MetricOptClassifier, untested": lambda metric: MetricOptClassifier(
        metric, acceptance=None, random_state=0
    ),
}
TREES, NETWORK = "boosted trees", "network, as trained"


def figures(table: str, metric: str) -> dict[str, Any]:
    """The metric on the test rows of each fold, and seconds of all folds, for every contender."""
    data = DATA[table].load()
    x, y = data.features.numpy(), data.labels.numpy().astype(int)
    test: dict[str, list[float]] = {name: [] for name in (*CONTENDERS, NETWORK)}
    seconds = dict.fromkeys(CONTENDERS, 0.0)
    for train, held in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(x, y):
        for name, make in CONTENDERS.items():
            start = time.process_time()
            model = make(metric).fit(x[train], y[train])
            seconds[name] += time.process_time() - start
            test[name].append(float(METRICS[metric](y[held], model.predict(x[held]))))
            if name == "network, MetricOptClassifier":
                test[NETWORK].append(float(METRICS[metric](y[held], as_trained(model, x[held]))))
    return {"test": test, "seconds": seconds}


def as_trained(model: MetricOptClassifier, x: Any) -> Any:
    """What the network would predict without the shift: one weight and one bias behind its score."""
    layer = model.outcome_.model
    weight, bias = (float(one.detach()) for one in (layer.weight, layer.bias))
    return ((model.decision_function(x) - bias) / weight > 0).astype(int)


def summary(rows: Sequence[Mapping[str, Any]]) -> str:
    """Means over tables and folds, the gain over the untuned model in hundredths with its paired interval, seconds."""
    heads = " | ".join(f"{metric} ↑" for metric in METRICS)
    lines = [f"| contender | {heads} | worst fold | seconds a fit |", "|---|" + "---:|" * (len(METRICS) + 2)]
    names = list(CONTENDERS)
    for name in (*names[:4], NETWORK, *names[4:]):
        base = TREES if name.startswith(TREES) else NETWORK
        cells, worst = [], 0.0
        for metric in METRICS:
            mine = [row["test"] for row in rows if row["metric"] == metric]
            values, bases = ([100 * value for row in mine for value in row[one]] for one in (name, base))
            cell = f"{math.fsum(values) / len(values) / 100:.4f}"
            if base != name:
                gain = paired_interval(values, bases)
                cell += f" ({gain.mean:+.2f} ± {gain.half or 0:.2f})"
                worst = min(worst, *(a - b for a, b in zip(values, bases, strict=True)))
            cells.append(cell)
        spent = "" if name == NETWORK else f"{np.mean([row['seconds'][name] / FOLDS for row in rows]):.1f}"
        lines.append(f"| {name} | {' | '.join(cells)} | {'' if base == name else f'{worst:+.1f}'} | {spent} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--summary", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    store = ResultStore(ROWS)
    for table in () if options.summary else TABLES:
        if not DATA[table].is_there():
            print(f"{table} is left out: its file is not there", flush=True)
            continue
        for metric in METRICS:
            key = RunKey(task=table, method="estimators", metric=metric, seed=0, settings={"folds": FOLDS})
            if key not in store:
                found = figures(table, metric)
                store.append(key, found | {"environment": describe_environment()})
                means = {name: round(float(np.mean(values)), 4) for name, values in found["test"].items()}
                print(table, metric, means, flush=True)
    print(summary(store.rows()))


if __name__ == "__main__":
    main()
