"""The problems of the arena, and those that settings were chosen on: a model, rows, and a metric each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..._registry import Registry
from ...metrics import Metric, as_metric
from ...tasks.datasets import breast_cancer, synthetic
from . import metrics as judges
from .materials import (
    Arena,
    Columns,
    Part,
    binary,
    cover,
    drifting,
    houses,
    income,
    long_tail,
    of_sklearn,
    published_net,
    table,
    thin_digits,
    wine_grades,
)
from .metrics import Judge


@dataclass(frozen=True, kw_only=True)
class ArenaProblem:
    """One row of the arena.

    Args:
        base: names the model and its rows; problems with the same base share them.
        build: seed -> model and rows.
        judge: what counts.
        high: whether phi has hundreds of numbers or more.
    """

    base: str
    build: Callable[[int], Arena]
    judge: Judge
    high: bool = False

    def metric(self, part: Part) -> Metric:
        """The metric on this part, which alone knows what stands beside its rows."""
        return as_metric(
            lambda outputs, targets: self.judge(outputs, targets, part.about),
            higher_is_better=True,
            bounds=(0.0, 1.0),
            name=f"arena {self.judge.__name__}",  # a name that no loss is aimed at: to the methods it is a black box
        )


ARENA: Registry[ArenaProblem] = Registry("problem of the arena")
#: Settings were chosen on these, with seeds from 100 on.
DEVELOPMENT: Registry[ArenaProblem] = Registry("development problem")


def _add(
    where: Registry[ArenaProblem], base: str, build: Callable[[int], Arena], *names: str, high: bool = False
) -> None:
    for name in names:
        judge = getattr(judges, name)
        where.add(f"{base}:{name}", ArenaProblem(base=base, build=build, judge=judge, high=high))


def _table(key: str, load: Callable[[], Columns], outputs: str, **options: object) -> Callable[[int], Arena]:
    return lambda seed: table(load, key=key, outputs=outputs, seed=seed, **options)  # type: ignore[arg-type]


def _of_dataset(make: Callable[[], object]) -> Callable[[], Columns]:
    def load() -> Columns:
        found = make()
        return Columns(x=found.features, y=found.targets)  # type: ignore[attr-defined]

    return load


_add(ARENA, "a9a", _table("a9a", income, "binary"), "f2", "profit")
_add(ARENA, "a9a_balanced", _table("a9a balanced", income, "binary", balanced=True), "mcc", "worst_group")
_add(ARENA, "covertype_balanced", _table("cover2", partial(cover, False), "binary", balanced=True), "mcc")
for _name, _metrics in {
    "magic": ("f2", "cost"),
    "spambase": ("cost",),
    "telco_churn": ("queue", "f2"),
    "mammography": ("mcc", "average_precision"),
    "annthyroid": ("f2", "average_precision"),
    "page_blocks": ("mcc", "g_mean"),
}.items():
    _add(ARENA, _name, _table(_name, partial(binary, _name), "binary"), *_metrics)
_add(ARENA, "drift", _table("drift", drifting, "binary"), "worst_group")
_add(
    ARENA, "covertype", _table("cover7", partial(cover, True), "multiclass"), "worst_recall", "macro_f1", "multi_g_mean"
)
_add(ARENA, "wine_grades", _table("wine_grades", wine_grades, "multiclass"), "quadratic_kappa", "macro_f1")
_add(
    ARENA,
    "digits_tail",
    _table("digits tail", partial(of_sklearn, "digits"), "multiclass", tail=20.0, epochs=60),
    "worst_recall",
    "macro_f1",
)
_add(ARENA, "houses", _table("houses", houses, "values"), "within_tenth", "stock")
_add(ARENA, "diabetes", _table("diabetes", partial(of_sklearn, "diabetes"), "values", epochs=60), "stock")
_add(ARENA, "mnist_tail", lambda seed: thin_digits(seed=seed), "multi_g_mean", "worst_three", high=True)
_add(
    ARENA,
    "cifar_tail",
    lambda seed: long_tail(seed=seed),
    "accuracy",
    "multi_g_mean",
    "worst_three",
    "macro_precision",
    high=True,
)
_add(
    ARENA, "cifar_noise", lambda seed: long_tail(seed=seed, tail=1.0, noise=0.4), "worst_three", "class_cost", high=True
)
_add(
    ARENA,
    "resnet20",
    lambda seed: published_net(depth=20, seed=seed),
    "accuracy",
    "macro_precision",
    "worst_three",
    "class_cost",
    high=True,
)
_add(
    ARENA,
    "resnet20_dark",
    lambda seed: published_net(depth=20, seed=seed, corrupt=True),
    "accuracy",
    "multi_g_mean",
    high=True,
)
_add(ARENA, "resnet32", lambda seed: published_net(depth=32, seed=seed), "accuracy", "macro_precision", high=True)
_add(
    ARENA,
    "resnet32_dark",
    lambda seed: published_net(depth=32, seed=seed, corrupt=True),
    "accuracy",
    "multi_g_mean",
    high=True,
)

_add(DEVELOPMENT, "phoneme", _table("phoneme", partial(binary, "phoneme"), "binary"), "f2", "mcc")
_add(DEVELOPMENT, "german", _table("german", partial(binary, "german"), "binary"), "cost", "g_mean")
_add(DEVELOPMENT, "pima", _table("pima", partial(binary, "pima"), "binary"), "average_precision", "queue")
_add(DEVELOPMENT, "synthetic", _table("synthetic", _of_dataset(synthetic), "binary"), "mcc", "profit")
_add(DEVELOPMENT, "breast_cancer", _table("breast_cancer", _of_dataset(breast_cancer), "binary"), "cost")
_add(
    DEVELOPMENT,
    "digits_thin",
    _table("digits thin", partial(of_sklearn, "digits"), "multiclass", tail=50.0, epochs=40, most=1200),
    "multi_g_mean",
    "worst_recall",
    "macro_f1",
)
_add(DEVELOPMENT, "linear", _table("linear", partial(of_sklearn, "diabetes"), "values", epochs=40), "within_tenth")
_add(DEVELOPMENT, "mnist_thin", lambda seed: thin_digits(seed=seed), "worst_three", "macro_f1", high=True)
