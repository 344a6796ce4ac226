"""Library metrics beside scikit-learn, torchmetrics and slow twins, on ordinary, tied and degenerate inputs."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
import sklearn.metrics as sk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional import classification as tm
from torchmetrics.functional.retrieval import retrieval_recall

from metricopt._errors import ConfigError, MetricError
from metricopt._random import generator
from metricopt.metrics import METRICS, get_metric

# torchmetrics divides float32 counts: half a unit in the last place of 1 per operation.
FLOAT32 = 1e-6
ONES = {"zero_division": 0}


def g_mean_twin(y, p):
    """The definition of imbalanced-learn, class by class."""
    recalls = []
    for c in sorted(set(y) | set(p)):
        of_class = [b == c for a, b in zip(y, p, strict=True) if a == c]
        recalls.append(sum(of_class) / len(of_class) if of_class else 0.0)
    return float(np.prod(recalls) ** (1 / len(recalls)))


def balanced_accuracy_twin(y, p):
    return float(np.mean([np.mean(p[y == c] == c) for c in np.unique(y)]))


LABEL_REFERENCES = {
    "mcr": lambda y, p, kw: 1 - sk.accuracy_score(y, p),
    "accuracy": lambda y, p, kw: sk.accuracy_score(y, p),
    "f1": lambda y, p, kw: sk.f1_score(y, p, **kw, **ONES),
    "jaccard": lambda y, p, kw: sk.jaccard_score(y, p, **kw, **ONES),
    "balanced_accuracy": lambda y, p, kw: balanced_accuracy_twin(y, p),
    "g_mean": lambda y, p, kw: g_mean_twin(y, p),
    "mcc": lambda y, p, kw: sk.matthews_corrcoef(y, p),
    "kappa": lambda y, p, kw: sk.cohen_kappa_score(y, p, replace_undefined_by=np.nan),
}


def scores_of(labels, classes):
    """Scores whose labels are `labels`."""
    labels = torch.as_tensor(labels)
    return labels * 2.0 - 1.0 if classes == 2 else torch.nn.functional.one_hot(labels, classes).float()


def same_as(name, y, p, classes):
    metric, scores = get_metric(name), scores_of(p, classes)
    kwargs = {"average": "binary"} if classes == 2 else {"average": "macro"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns about a single label and about 0/0
        wanted = LABEL_REFERENCES[name](np.array(y), np.array(p), kwargs)
    if np.isnan(wanted):
        with pytest.raises(MetricError, match="kappa is undefined"):
            metric(scores, torch.as_tensor(y))
    else:
        assert metric(scores, torch.as_tensor(y)) == pytest.approx(wanted, abs=FLOAT32)


@pytest.mark.parametrize("name", LABEL_REFERENCES)
@pytest.mark.parametrize(("classes", "length"), [(2, 3), (4, 2)])
def test_label_metrics_on_every_small_input(name, classes, length):
    """Every pair of targets and labels of this length: all degenerate cases are among them."""
    for y, p in itertools.product(itertools.product(range(classes), repeat=length), repeat=2):
        same_as(name, y, p, classes)


labels = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60)


@settings(max_examples=40)
@given(pairs=labels, name=st.sampled_from(sorted(LABEL_REFERENCES)))
def test_label_metrics_of_five_classes(pairs, name):
    y, p = zip(*pairs, strict=True)
    same_as(name, y, p, 5)


def test_balanced_accuracy_is_that_of_scikit_learn():
    y, p = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 2, 0, 2])
    assert get_metric("balanced_accuracy")(scores_of(p, 3), torch.as_tensor(y)) == pytest.approx(
        sk.balanced_accuracy_score(y, p), abs=1e-12
    )


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_f_beta_and_jaccard_averages(average, beta):
    random = generator(3, "averages")
    y = torch.randint(4, (80,), generator=random)
    scores = torch.randn(80, 4, generator=random)
    scores[:, 3] -= 9  # a class that is never predicted
    several = (torch.rand(80, 4, generator=random) < 0.3).long()
    several[:, 1] = 0  # a label that never occurs
    for targets, p in ((y, scores.argmax(1)), (several, (scores > 0).long())):
        wanted = sk.fbeta_score(targets, p, beta=beta, average=average, **ONES)
        assert get_metric("f_beta", beta=beta, average=average)(scores, targets) == pytest.approx(wanted, abs=FLOAT32)
        wanted = sk.jaccard_score(targets, p, average=average, **ONES)
        assert get_metric("jaccard", average=average)(scores, targets) == pytest.approx(wanted, abs=FLOAT32)
    assert get_metric("f1", average=average)(scores, y) == get_metric("f_beta", average=average)(scores, y)


def test_multilabel_error_is_the_hamming_loss():
    random = generator(4, "hamming")
    scores, y = torch.randn(50, 3, generator=random), torch.randint(2, (50, 3), generator=random)
    wanted = sk.hamming_loss(y, scores > 0)
    assert get_metric("mcr")(scores, y) == pytest.approx(wanted, abs=1e-12)
    assert get_metric("accuracy")(scores, y) == pytest.approx(1 - wanted, abs=1e-12)


def test_a_large_split_does_not_overflow_the_correlation():
    y = torch.arange(200_000) % 2
    scores = torch.where(torch.arange(200_000) % 10 == 0, -1.0, 1.0) * (y * 2 - 1)
    wanted = sk.matthews_corrcoef(y, (scores > 0).long())
    assert get_metric("mcc")(scores, y) == pytest.approx(wanted, abs=1e-12)


# ---- rankings

#: Few distinct scores, so that ties abound.
ranked = st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 1)), min_size=1, max_size=40)


def auroc_twin(s, y):
    """Every pair of a positive and a negative, a tie counts half."""
    pairs = [(a, b) for a, t in zip(s, y, strict=True) if t for b, u in zip(s, y, strict=True) if not u]
    return sum((a > b) + 0.5 * (a == b) for a, b in pairs) / len(pairs)


def precision_at_recall_twin(s, y, floor):
    best = 0.0
    for threshold in set(s):
        chosen = [t for a, t in zip(s, y, strict=True) if a >= threshold]
        if sum(y) and sum(chosen) / sum(y) >= floor:
            best = max(best, sum(chosen) / len(chosen))
    return best


@settings(max_examples=60)
@given(rows=ranked)
def test_binary_rankings_with_ties(rows):
    s, y = (list(column) for column in zip(*rows, strict=True))
    scores, targets = torch.tensor(s, dtype=torch.float32), torch.tensor(y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns where there are no positives
        wanted = sk.average_precision_score(y, s)
    assert get_metric("average_precision")(scores, targets) == pytest.approx(wanted, abs=1e-12)
    for floor in (0.3, 0.5, 0.9, 1.0):
        got = get_metric("precision_at_recall", floor=floor)(scores, targets)
        assert got == pytest.approx(precision_at_recall_twin(s, y, floor), abs=1e-12)
    if 0 < sum(y) < len(y):
        assert get_metric("auroc")(scores, targets) == pytest.approx(auroc_twin(s, y), abs=1e-12)
    else:
        with pytest.raises(MetricError, match="auroc is undefined: a column of the targets holds"):
            get_metric("auroc")(scores, targets)


def test_rankings_equal_the_references_on_ordinary_scores():
    random = generator(5, "rankings")
    s, y = torch.randn(300, generator=random), torch.randint(2, (300,), generator=random)
    assert get_metric("auroc")(s, y) == pytest.approx(sk.roc_auc_score(y, s), abs=1e-12)
    assert get_metric("average_precision")(s, y) == pytest.approx(float(tm.binary_average_precision(s, y)), abs=FLOAT32)
    best, _ = tm.binary_precision_at_fixed_recall(s, y, min_recall=0.8)
    assert get_metric("precision_at_recall", floor=0.8)(s, y) == pytest.approx(float(best), abs=FLOAT32)
    top = float(retrieval_recall(s.sigmoid(), y, top_k=20))
    assert get_metric("recall_at_k", k=20)(s, y) == pytest.approx(top, abs=FLOAT32)


def test_multiclass_and_multilabel_rankings_are_macro_means():
    random = generator(6, "columns")
    scores, y = torch.randn(120, 4, generator=random), torch.randint(4, (120,), generator=random)
    p = scores.softmax(1)
    assert get_metric("auroc")(scores, y) == pytest.approx(sk.roc_auc_score(y, p, multi_class="ovr"), abs=1e-12)
    assert get_metric("average_precision")(scores, y) == pytest.approx(sk.average_precision_score(y, p), abs=1e-12)
    best, _ = tm.multiclass_precision_at_fixed_recall(p, y, 4, min_recall=0.7)
    assert get_metric("precision_at_recall", floor=0.7)(scores, y) == pytest.approx(float(best.mean()), abs=FLOAT32)
    several = torch.randint(2, (120, 4), generator=random)
    assert get_metric("auroc")(scores, several) == pytest.approx(sk.roc_auc_score(several, scores), abs=1e-12)
    wanted = sk.average_precision_score(several, scores)
    assert get_metric("average_precision")(scores, several) == pytest.approx(wanted, abs=1e-12)


def test_a_saturated_sigmoid_does_not_tie_the_ranking():
    scores, y = torch.tensor([40.0, 30.0, 20.0]), torch.tensor([1, 0, 0])
    assert float(torch.sigmoid(scores).unique().numel()) == 1
    assert get_metric("auroc")(scores, y) == 1.0


def test_precision_at_no_recall_is_one():
    assert get_metric("precision_at_recall", floor=0.0)(torch.tensor([1.0, 0.0]), torch.tensor([0, 1])) == 1.0


def test_recall_at_k_of_classes_and_labels():
    random = generator(7, "top")
    scores, y = torch.randn(60, 5, generator=random), torch.randint(5, (60,), generator=random)
    for k in (1, 2, 4):
        assert get_metric("recall_at_k", k=k)(scores, y) == pytest.approx(sk.top_k_accuracy_score(y, scores, k=k))
    several = torch.randint(2, (60, 5), generator=random)
    several[0] = 0  # a row without positives counts 0
    # Probabilities: torchmetrics counts only positive predictions as retrieved.
    wanted = np.mean([float(retrieval_recall(s.sigmoid(), t, top_k=2)) for s, t in zip(scores, several, strict=True)])
    assert get_metric("recall_at_k", k=2)(scores, several) == pytest.approx(wanted, abs=FLOAT32)


@settings(max_examples=25)
@given(rows=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), min_size=3, max_size=5), k=st.integers(1, 2))
def test_recall_at_k_is_the_expectation_over_the_order_of_ties(rows, k):
    values = []
    for order in itertools.permutations(rows):
        best = sorted(order, key=lambda row: -row[0])[:k]  # a stable sort: ties by position
        values.append(sum(t for _, t in best) / max(sum(t for _, t in order), 1))
    s, y = (torch.tensor(column) for column in zip(*rows, strict=True))
    assert get_metric("recall_at_k", k=k)(s.float(), y) == pytest.approx(np.mean(values), abs=1e-12)
    hit = torch.tensor([int(t) for _, t in rows]).argmax()
    chances = [
        [row for row in sorted(order, key=lambda i: -rows[i][0])][:k]
        for order in itertools.permutations(range(len(rows)))
    ]
    wanted = np.mean([int(hit) in best for best in chances])
    assert get_metric("recall_at_k", k=k)(s.float()[None], hit[None]) == pytest.approx(wanted, abs=1e-12)


# ---- names, options, refusals


def test_the_papers_jac_is_accuracy():
    y, s = torch.tensor([1, 0, 0, 0]), torch.tensor([1.0, 1.0, -1.0, -1.0])
    assert get_metric("paper_jac")(s, y) == 0.75 == get_metric("accuracy")(s, y) == 1 - get_metric("mcr")(s, y)
    assert get_metric("jaccard")(s, y) == 0.5
    assert set(METRICS.aliases.values()) <= set(METRICS) and not set(METRICS.aliases) & set(METRICS)


def test_names_show_the_options():
    assert get_metric("f1").name == "f1"
    assert get_metric("f1", average="micro").name == "f1(average=micro)"
    assert get_metric("precision_at_recall", floor=0.8).name == "precision_at_recall(floor=0.8)"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("acuracy", {}, "no metric named 'acuracy'; did you mean 'accuracy'"),
        ("recall_at_k", {}, r"takes the options k; got unknown none, missing \['k'\]; try k=2"),
        ("f1", {"beta": 2}, r"takes the options average; got unknown \['beta'\]"),
        ("accuracy", {"k": 2}, "takes the options none"),
        ("f_beta", {"beta": 0}, "beta must be a positive finite number"),
        ("jaccard", {"average": "mean"}, "average must be one of macro, micro, weighted"),
        ("recall_at_k", {"k": 0}, "k must be an integer of at least 1"),
        ("precision_at_recall", {"floor": 1.5}, r"floor must lie in \[0, 1\]"),
    ],
)
def test_names_and_options_that_cannot_work(name, options, message):
    with pytest.raises(ConfigError, match=message):
        get_metric(name, **options)


def test_recall_of_everything_is_refused():
    with pytest.raises(MetricError, match="takes all of the 3 candidates"):
        get_metric("recall_at_k", k=3)(torch.zeros(3), torch.tensor([0, 1, 1]))


@pytest.mark.parametrize(
    ("scores", "targets", "message"),
    [
        (torch.zeros(2), torch.tensor([-1, 1]), "whole numbers from 0 to 1 for binary scores, got values from -1 to 1"),
        (torch.zeros(2), torch.tensor([0.5, 1.0]), "whole numbers from 0 to 1"),
        (torch.zeros(2, 3), torch.tensor([0, 3]), "whole numbers from 0 to 2 for multiclass scores"),
        (torch.zeros(0), torch.zeros(0), "got no rows"),
    ],
)
@pytest.mark.parametrize("name", ["accuracy", "mcc", "average_precision"])
def test_targets_that_are_no_classes(name, scores, targets, message):
    with pytest.raises(MetricError, match=message):
        get_metric(name)(scores, targets)


def test_what_is_no_array_and_kinds_that_are_not_defined():
    with pytest.raises(ConfigError, match="'f1' takes tensors or numeric arrays.*got list and list"):
        get_metric("f1")([0.5], [1])
    with pytest.raises(ConfigError, match="'mcc' is defined for binary, multiclass problems, got multilabel"):
        get_metric("mcc")(torch.zeros(2, 3), torch.zeros(2, 3))


def test_a_ranking_of_many_thousands_stays_exact():
    random = generator(8, "large")
    s, y = torch.randn(30_000, generator=random), (torch.rand(30_000, generator=random) < 0.2).float()
    assert get_metric("average_precision")(s, y) == pytest.approx(sk.average_precision_score(y, s), abs=1e-12)
    assert get_metric("auroc")(s, y) == pytest.approx(sk.roc_auc_score(y, s), abs=1e-12)


RATES = {
    "precision": lambda y, p: sk.precision_score(y, p, **ONES),
    "recall": lambda y, p: sk.recall_score(y, p, **ONES),
    "specificity": lambda y, p: sk.recall_score(y, p, pos_label=0, **ONES),
    "false_positive_rate": lambda y, p: 1 - sk.recall_score(y, p, pos_label=0, **ONES) if 0 in y else 0.0,
    "selection_rate": lambda y, p: float(np.mean(p)),
}


@pytest.mark.parametrize("name", RATES)
def test_rates_on_every_small_input(name):
    for y, p in itertools.product(itertools.product(range(2), repeat=4), repeat=2):
        value = get_metric(name)(scores_of(p, 2), torch.as_tensor(y))
        assert value == pytest.approx(RATES[name](np.array(y), np.array(p)), abs=1e-12)
