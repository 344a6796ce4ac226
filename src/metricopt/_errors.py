"""Every error that metricopt raises on purpose.

Each message says what is wrong, what was got and what to do.
"""

from __future__ import annotations


class MetricOptError(Exception):
    """Base of all errors of this package: catch it to catch them all."""


class ConfigError(MetricOptError, ValueError):
    """An argument or a configuration field has a value that cannot work."""


class OtherRun(ConfigError):
    """A run folder holds a run with other settings."""


class AdapterError(MetricOptError):
    """An adapter does not fit the model: nothing matched, or a site never fires."""


class NotFoldable(AdapterError):
    """The adapter cannot be folded into plain weights without changing the function."""


class MetricError(MetricOptError):
    """A metric raised, or returned something that is not one number inside its bounds."""


class BudgetExhausted(MetricOptError):
    """The next metric call would exceed the budget. Nothing was called."""


class FingerprintMismatch(MetricOptError):
    """A saved object belongs to another phi than the one it is loaded for."""


class CheckpointError(MetricOptError):
    """A saved file is missing, damaged, or not what its name says."""


class WriteFailed(MetricOptError, OSError):
    """A file cannot be written: no space, no rights, no such folder. What was there before is intact."""


class RunLocked(MetricOptError):
    """Another process holds the run folder."""


class JobFailed(MetricOptError):
    """A job raised, or the worker that ran it died; the message holds the job's traceback."""


class DataError(MetricOptError):
    """A data set is missing, damaged, or cannot be used as asked."""


class MissingExtra(MetricOptError, ImportError):
    """An optional dependency is not installed; the message names the extra to install."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed. "
            f"Install it with: pip install 'metricopt[{extra}]'"
        )
        self.package = package
        self.extra = extra
