"""Every method under the name that tables and the command line use."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .._registry import Registry
from .adaptive_surrogates import AdaptiveSurrogates
from .as_trained import AsTrained
from .cma_es import CmaEs
from .example_weighting import ExampleWeighting
from .loss_finetune import LossFinetune
from .method import Method, MethodCard
from .metric_opt import PROPOSERS, MetricOpt, MetricOptConfig
from .phi_value import PAPER_LITERAL, PhiMetricOpt, PhiValueConfig
from .random_search import RandomSearch
from .threshold import ThresholdTuning
from .trust_region_bo import TrustRegionBO
from .two_point import TwoPoint


@dataclass(frozen=True, kw_only=True)
class MethodEntry:
    """A method with its settings, and what to say of it."""

    card: MethodCard
    method: Method


METHODS: Registry[MethodEntry] = Registry("method")


def _plain(name: str, method: Method) -> None:
    METHODS.add(name, MethodEntry(card=method.card, method=method))


def _metricopt(name: str, title: str, *, family: str = "control", **changes: object) -> None:
    config = replace(MetricOptConfig(), **changes)  # type: ignore[arg-type]
    card = replace(MetricOpt.card, title=title, family=family)
    METHODS.add(name, MethodEntry(card=card, method=MetricOpt(config=config)))


def _phi_value(
    name: str, title: str, config: PhiValueConfig, *, family: str = "ablation", adapters: str = "shifted"
) -> None:
    card = replace(PhiMetricOpt.card, title=title, family=family, adapters=adapters)
    METHODS.add(name, MethodEntry(card=card, method=PhiMetricOpt(config=config)))


_plain("as_trained", AsTrained())
_plain("loss_finetune", LossFinetune())
_plain("threshold", ThresholdTuning())
_plain("random_search", RandomSearch())
_plain("cma_es", CmaEs())
_plain("trust_region_bo", TrustRegionBO())
METHODS.add(
    "trust_region_bo_shift",
    MethodEntry(
        card=replace(TrustRegionBO.card, title="trust-region BO on the shift alone", adapters="shift"),
        method=TrustRegionBO(),
    ),
)
_plain("two_point", TwoPoint())
_plain("example_weighting", ExampleWeighting())
_plain("adaptive_surrogates", AdaptiveSurrogates())

_plain("metricopt", MetricOpt())
_metricopt("untrained_scores", "MetricOpt, untrained value function", learn="none")
_metricopt("permuted_scores", "MetricOpt, value function of shuffled metrics", learn="permuted")
_metricopt(
    "mixtures",
    "random mixtures of the profile",
    proposers=("surrogates",),
    whole=False,
    surrogate_share=1.0,
    most_surrogates=1000,
    learn="none",
)


def _without(name: str) -> tuple[str, ...]:
    return tuple(one for one in PROPOSERS if one != name)


for _name in PROPOSERS:
    _metricopt(f"no_{_name}", f"MetricOpt without {_name}", family="ablation", proposers=_without(_name))
_metricopt("with_phi", "MetricOpt, value function of profile and phi", family="ablation", reads_phi=True)
_metricopt("search_rows_only", "MetricOpt, climbs through search rows", family="ablation", search_share=1.0)
_metricopt("training_rows_only", "MetricOpt, climbs through training rows", family="ablation", search_share=0.0)
_metricopt("no_margin", "MetricOpt, best estimate proposed", family="ablation", margin=0.0, training_trust=0.0)
_metricopt("wide_margin", "MetricOpt, proposal by its lower bound", family="ablation", margin=1.64, training_trust=0.0)

# The paper's value function of phi.
_PHI = PhiValueConfig()
_phi_value("metricopt_phi", "MetricOpt on phi (SGD)", _PHI, family="paper")
_phi_value(
    "metricopt_phi_adam", "MetricOpt on phi (Adam)", replace(_PHI, stepper="adam", search_lr=0.02), family="paper"
)
_phi_value("metricopt_paper", "MetricOpt, Algorithm 1 as printed", PAPER_LITERAL, family="paper", adapters="paper")

_phi_value("random_value", "untrained value function", replace(_PHI, learn="none"), family="control")
_phi_value("permuted_value", "value function of shuffled metrics", replace(_PHI, permute=True), family="control")
_phi_value("no_loss", "value function without the loss", replace(_PHI, loss_guides=False), family="control")
METHODS.add(
    "no_metric",
    MethodEntry(
        card=replace(LossFinetune.card, title="loss finetuning, metric never read", family="control"),
        method=LossFinetune(pick="last"),
    ),
)

_phi_value("no_ordinal", "- ordinal embedding", replace(_PHI, ordinal=False))
_phi_value("no_uncertainty", "- uncertainty weights", replace(_PHI, uncertainty=False))
_phi_value("linear_interpolation", "linear interpolation", replace(_PHI, interpolation="linear"))
_phi_value("reptile", "Reptile instead of offline", replace(_PHI, learn="reptile"))
_phi_value("no_rounds", "all calls before tuning", replace(_PHI, rounds=0))
_phi_value("no_phi_scale", "bare phi", replace(_PHI, use_phi_scale=False))
_phi_value("no_blend", "loss only shapes the search", replace(_PHI, blend=0.0))
_phi_value("no_min_gain", "every gain accepted", replace(_PHI, min_gain_stderr=0.0))
_phi_value("best_observation", "best observation proposed", replace(_PHI, propose="observed"))
_phi_value("value_gradient", "exact gradient instead of ES", replace(_PHI, direction="grad"))

# From Algorithm 1 as printed to `metricopt_phi`, one ingredient after the other; the last two steps are
# `no_rounds` (the proposal chosen by the value function) and `metricopt_phi` (budget spent while tuning).
_WITH_SCALE = replace(PAPER_LITERAL, use_phi_scale=True, from_zero=True, spread=_PHI.spread, lr=_PHI.lr)
_WITH_FIT = replace(_WITH_SCALE, learn=_PHI.learn, norm=_PHI.norm, members=_PHI.members)
_phi_value("paper_shift", "Algorithm 1 + output shift", PAPER_LITERAL, family="ladder")
_phi_value("paper_shift_scale", "... + scale of phi, start at phi = 0", _WITH_SCALE, family="ladder")
_phi_value("paper_shift_scale_fit", "... + offline fit of an ensemble", _WITH_FIT, family="ladder")
