"""The bridge to torchmetrics: objects, classes and functions; direction and bounds from the object."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torchmetrics
from torchmetrics import classification as tmc
from torchmetrics.functional import classification as tmf

from metricopt._errors import ConfigError, MetricError
from metricopt._random import generator
from metricopt.metrics import from_torchmetrics

RANDOM = generator(11, "torchmetrics bridge")
BINARY = torch.randn(40, generator=RANDOM), torch.randint(2, (40,), generator=RANDOM)
CLASSES = torch.randn(40, 4, generator=RANDOM), torch.randint(4, (40,), generator=RANDOM)
SEVERAL = torch.randn(40, 4, generator=RANDOM), torch.randint(2, (40, 4), generator=RANDOM)


@pytest.mark.parametrize(
    ("metric", "data", "prepare"),
    [
        (tmc.BinaryF1Score(), BINARY, torch.sigmoid),
        (tmc.BinaryAUROC(), BINARY, torch.sigmoid),
        (tmc.BinaryCalibrationError(), BINARY, torch.sigmoid),
        (tmc.MulticlassF1Score(4), CLASSES, partial(torch.softmax, dim=1)),
        (tmc.MulticlassAveragePrecision(4), CLASSES, partial(torch.softmax, dim=1)),
        (tmc.MultilabelRankingAveragePrecision(4), SEVERAL, torch.sigmoid),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, torchmetrics.Metric) else "",
)
def test_the_value_and_direction_are_those_of_the_object(metric, data, prepare):
    bridged = from_torchmetrics(metric)
    scores, targets = data
    assert bridged(scores, targets) == pytest.approx(float(metric(prepare(scores), targets)), abs=1e-6)
    assert bridged.higher_is_better is metric.higher_is_better
    assert bridged.name == type(metric).__name__


def test_no_call_leaves_anything_behind():
    template = tmc.BinaryF1Score()
    template.update(torch.ones(5), torch.ones(5).long())
    before = {key: value.clone() for key, value in template.metric_state.items()}
    bridged = from_torchmetrics(template)
    first = bridged(*BINARY)
    assert bridged(*BINARY) == first == from_torchmetrics(tmc.BinaryF1Score())(*BINARY)
    assert all(torch.equal(template.metric_state[key], value) for key, value in before.items())
    template.threshold = 0.9  # a later change of the original does not reach the copy
    assert bridged(*BINARY) == first


class Forgetful(tmc.BinaryF1Score):
    """Counts its calls in an attribute that `reset` does not know."""

    calls = 0

    def compute(self):
        self.calls += 1
        return self.calls / 10


def test_attributes_that_reset_forgets_do_not_leak_either():
    bridged = from_torchmetrics(Forgetful())
    assert [bridged(*BINARY), bridged(*BINARY)] == [0.1, 0.1]


@pytest.mark.parametrize(
    "factory", [tmc.BinaryF1Score, partial(tmc.MulticlassF1Score, num_classes=4), lambda: tmc.BinaryF1Score()]
)
def test_a_class_or_factory_makes_the_object(factory):
    bridged = from_torchmetrics(factory)
    assert bridged.name.endswith("F1Score")
    assert 0 < bridged(*(CLASSES if bridged.name.startswith("Multi") else BINARY)) < 1


def test_float_targets_become_classes():
    assert from_torchmetrics(tmc.BinaryF1Score)(BINARY[0], BINARY[1].float()) == from_torchmetrics(tmc.BinaryF1Score)(
        *BINARY
    )


def test_a_function_states_nothing_but_its_value():
    function = partial(tmf.multiclass_cohen_kappa, num_classes=4)
    with pytest.raises(ConfigError, match="'multiclass_cohen_kappa' does not state its direction"):
        from_torchmetrics(function)
    bridged = from_torchmetrics(function, higher_is_better=True, bounds=(-1, 1))
    assert bridged(*CLASSES) == pytest.approx(float(function(*CLASSES)), abs=1e-6)


def test_regression_needs_its_range_and_reads_the_outputs_as_they_are():
    with pytest.raises(ConfigError, match=r"'MeanSquaredError' does not state finite bounds \(it says 0.0 to None\)"):
        from_torchmetrics(torchmetrics.MeanSquaredError())
    bridged = from_torchmetrics(torchmetrics.MeanSquaredError(), bounds=(0, 10), reads="scores")
    assert bridged.higher_is_better is False
    assert bridged(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0])) == 2.0


def test_bounds_made_for_plots_can_be_corrected():
    opposite = torch.tensor([1.0, -1.0]), torch.tensor([0, 1])
    with pytest.raises(MetricError, match=r"returned -1.0, outside its bounds \(0.0, 1.0\).*bounds=\(low, high\)"):
        from_torchmetrics(tmc.BinaryMatthewsCorrCoef())(*opposite)
    assert from_torchmetrics(tmc.BinaryMatthewsCorrCoef(), bounds=(-1, 1))(*opposite) == -1.0


def test_direction_is_never_guessed_nor_overruled():
    with pytest.raises(ConfigError, match="'MeanMetric' does not state its direction; pass higher_is_better"):
        from_torchmetrics(torchmetrics.MeanMetric(), bounds=(0, 1))
    with pytest.raises(ConfigError, match="states higher_is_better=True, but higher_is_better=False was passed"):
        from_torchmetrics(tmc.BinaryF1Score(), higher_is_better=False)


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (
            torchmetrics.MetricCollection([tmc.BinaryF1Score()]),
            "got MetricCollection; of a MetricCollection pass the one",
        ),
        (torch.nn.Linear(1, 1), "expected a torchmetrics.Metric or a factory of one, got Linear"),
        ("f1", "got str"),
        (lambda: 3, "got int"),
        (tmc.MulticlassF1Score, "cannot make a torchmetrics metric from.*num_classes.*pass an instance"),
    ],
)
def test_other_things_are_refused(thing, message):
    with pytest.raises(ConfigError, match=message):
        from_torchmetrics(thing, higher_is_better=True)


def test_a_model_is_not_what_torchmetrics_read():
    with pytest.raises(ConfigError, match="takes predictions and targets, not a model"):
        from_torchmetrics(tmc.BinaryF1Score(), reads="model")


def test_several_values_and_errors_inside_are_metric_errors():
    with pytest.raises(MetricError, match=r"'MulticlassF1Score' returned a Tensor of shape \(4,\)"):
        from_torchmetrics(tmc.MulticlassF1Score(4, average="none"))(*CLASSES)
    with pytest.raises(MetricError, match="'MulticlassF1Score' raised .*float32"):
        from_torchmetrics(tmc.MulticlassF1Score(3))(*CLASSES)
