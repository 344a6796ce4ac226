"""MetricOpt under its names: the default, its optimisers, the paper's reading, controls and ablations."""

from __future__ import annotations

from .config import MetricOptConfig

#: Algorithm 1 as printed: random phi_0, bare phi, one ensemble member with batch norm, one inner step of Reptile,
#: guided ES with P = 3, k = 3, s^2 = 0.01, the loss never descended, the end of one run returned.
PAPER_LITERAL = MetricOptConfig(
    learn="paper-reptile",
    norm="batch",
    members=1,
    share=1.0,
    rounds=0,
    runs=1,
    blend=0.0,
    from_zero=False,
    use_phi_scale=False,
    propose="last",
    spread=0.1,
    lr=0.1,
    search_lr=0.1,
)
