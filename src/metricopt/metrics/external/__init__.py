"""Metrics whose number comes from outside: a command, a web address, or what a word on the command line names."""

from .command import Command, from_command
from .endpoint import Endpoint, from_url
from .from_spec import limit_from_spec, metric_from_spec

__all__ = ["Command", "Endpoint", "from_command", "from_url", "limit_from_spec", "metric_from_spec"]
