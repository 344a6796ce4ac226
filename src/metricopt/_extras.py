"""The one door to optional packages: imported where they are used, with an error that names the extra."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ._errors import MissingExtra


def require(module: str, *, extra: str, purpose: str) -> Any:
    """Import an optional `module`, or raise MissingExtra that names the extra to install.

    Only the absence of the package itself is translated: a package that is there but fails to import
    raises its own error, since installing it once more would not help.

    >>> require("json", extra="bench", purpose="reading settings").loads("[1]")
    [1]
    >>> require("no_such_package", extra="bench", purpose="the table")
    Traceback (most recent call last):
    ...
    metricopt._errors.MissingExtra: the table needs the package 'no_such_package', which is not installed. ...
    """
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise MissingExtra(package, extra, purpose) from error
