"""Networks that losses are tried on: their sizes, and what does not fit them."""

from __future__ import annotations

import pytest
import torch

from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.evolution import initial
from studies.base_models import BASE_MODELS

CASES = {
    "linear": ((4,), 5),
    "mlp": ((4,), 4 * 64 + 64 + 64 + 1),
    "lenet5": ((1, 28, 28), 61_706),  # as LeCun et al. counted, but for the sparse second layer
    "all_cnn_c": ((3, 32, 32), 1_369_738),
    "resnet": ((3, 32, 32), 75_290),
}


@pytest.mark.parametrize("name", BASE_MODELS)
def test_each_has_its_size_and_can_be_drawn_anew(name):
    inputs, size = CASES[name]
    classes = 10 if len(inputs) == 3 else 1
    net = BASE_MODELS[name](inputs, classes)
    assert sum(one.numel() for one in net.parameters()) == size
    assert net(torch.zeros(2, *inputs)).shape == (2, classes)
    net.load_state_dict(initial(net, source=generator("drawn")), strict=False)


def test_images_of_another_size_are_refused():
    with pytest.raises(ConfigError, match="square images of 28 or 32"):
        BASE_MODELS["lenet5"]((1, 20, 20), 10)
    with pytest.raises(ConfigError, match="10 classes"):
        BASE_MODELS["resnet"]((3, 32, 32), 7)
