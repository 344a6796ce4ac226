"""What is wanted: metrics with a direction, and the budget of calls to them."""

from .budget import Budget, Meter, MeterState
from .library import METRICS, MetricCard, MetricEntry, get_metric
from .metric import Metric

__all__ = ["METRICS", "Budget", "Meter", "MeterState", "Metric", "MetricCard", "MetricEntry", "get_metric"]
