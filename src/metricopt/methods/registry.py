"""Every method under the name that tables and the command line use."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .._registry import Registry
from .as_trained import AsTrained
from .cma_es import CmaEs
from .loss_finetune import LossFinetune
from .method import Method, MethodCard
from .metric_opt import PAPER_LITERAL, MetricOpt, MetricOptConfig
from .random_search import RandomSearch
from .threshold import ThresholdTuning
from .trust_region_bo import TrustRegionBO


@dataclass(frozen=True, kw_only=True)
class MethodEntry:
    """A method with its settings, and what to say of it."""

    card: MethodCard
    method: Method


METHODS: Registry[MethodEntry] = Registry("method")


def _plain(name: str, method: Method) -> None:
    METHODS.add(name, MethodEntry(card=method.card, method=method))


def _metricopt(
    name: str, title: str, config: MetricOptConfig, *, family: str = "metricopt", adapters: str = "shifted"
) -> None:
    card = replace(MetricOpt.card, title=title, family=family, adapters=adapters)
    METHODS.add(name, MethodEntry(card=card, method=MetricOpt(config=config)))


_DEFAULT = MetricOptConfig()

_plain("as_trained", AsTrained())
_plain("loss_finetune", LossFinetune())
_plain("threshold", ThresholdTuning())
_plain("random_search", RandomSearch())
_plain("cma_es", CmaEs())
_plain("trust_region_bo", TrustRegionBO())

_metricopt("metricopt", "MetricOpt (SGD)", _DEFAULT)
_metricopt("metricopt_adam", "MetricOpt (Adam)", replace(_DEFAULT, stepper="adam", search_lr=0.02))
_metricopt("metricopt_paper", "MetricOpt, Algorithm 1 as printed", PAPER_LITERAL, adapters="paper")

_metricopt("random_value", "untrained value function", replace(_DEFAULT, learn="none"), family="control")
_metricopt("permuted_value", "value function of shuffled metrics", replace(_DEFAULT, permute=True), family="control")
_metricopt("no_loss", "value function without the loss", replace(_DEFAULT, loss_guides=False), family="control")
METHODS.add(
    "no_metric",
    MethodEntry(
        card=replace(LossFinetune.card, title="loss finetuning, metric never read", family="control"),
        method=LossFinetune(pick="last"),
    ),
)

_metricopt("no_ordinal", "- ordinal embedding", replace(_DEFAULT, ordinal=False), family="ablation")
_metricopt("no_uncertainty", "- uncertainty weights", replace(_DEFAULT, uncertainty=False), family="ablation")
_metricopt("linear_interpolation", "linear interpolation", replace(_DEFAULT, interpolation="linear"), family="ablation")
_metricopt("reptile", "Reptile instead of offline", replace(_DEFAULT, learn="reptile"), family="ablation")
_metricopt("no_rounds", "all calls before tuning", replace(_DEFAULT, rounds=0), family="ablation")
_metricopt("no_phi_scale", "bare phi", replace(_DEFAULT, use_phi_scale=False), family="ablation")
_metricopt("no_blend", "loss only shapes the search", replace(_DEFAULT, blend=0.0), family="ablation")
_metricopt("no_min_gain", "every gain accepted", replace(_DEFAULT, min_gain_stderr=0.0), family="ablation")
_metricopt("best_observation", "best observation proposed", replace(_DEFAULT, propose="observed"), family="ablation")
_metricopt("value_gradient", "exact gradient instead of ES", replace(_DEFAULT, direction="grad"), family="ablation")

# From Algorithm 1 as printed to the default, one ingredient after the other; the last two steps are
# `no_rounds` (the proposal chosen by the value function) and `metricopt` (budget spent while tuning).
_WITH_SCALE = replace(PAPER_LITERAL, use_phi_scale=True, from_zero=True, spread=_DEFAULT.spread, lr=_DEFAULT.lr)
_WITH_FIT = replace(_WITH_SCALE, learn=_DEFAULT.learn, norm=_DEFAULT.norm, members=_DEFAULT.members)
_metricopt("paper_shift", "Algorithm 1 + output shift", PAPER_LITERAL, family="ladder")
_metricopt("paper_shift_scale", "... + scale of phi, start at phi = 0", _WITH_SCALE, family="ladder")
_metricopt("paper_shift_scale_fit", "... + offline fit of an ensemble", _WITH_FIT, family="ladder")
