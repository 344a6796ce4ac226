"""What is wanted: metrics with a direction, bridges to those of other packages, and the budget of calls to them."""

from .as_metric import as_metric
from .budget import Budget, Meter
from .constrained import Constraint, as_judged, constrained
from .external import from_command, from_url, limit_from_spec, metric_from_spec
from .from_function import from_function, from_model_function
from .from_sklearn import from_sklearn
from .from_torchmetrics import from_torchmetrics
from .judged import Judged
from .library import METRICS, MetricCard, MetricEntry, get_metric
from .metric import Metric
from .short_names import SHORT_NAMES, ShortName

__all__ = [
    "METRICS",
    "SHORT_NAMES",
    "Budget",
    "Constraint",
    "Judged",
    "Meter",
    "Metric",
    "MetricCard",
    "MetricEntry",
    "ShortName",
    "as_judged",
    "as_metric",
    "constrained",
    "from_command",
    "from_function",
    "from_model_function",
    "from_sklearn",
    "from_torchmetrics",
    "from_url",
    "get_metric",
    "limit_from_spec",
    "metric_from_spec",
]
