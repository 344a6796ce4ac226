"""Which way is better: stated by the object, or by the user, and never by guess."""

from __future__ import annotations

from .._errors import ConfigError


def settled_direction(what: str, stated: bool | None, given: bool | None) -> bool:
    """The one direction that the object states and the user gave.

    Raises:
        ConfigError: neither states one, or they contradict each other.
    """
    if stated is None and given is None:
        raise ConfigError(f"{what} does not state its direction; pass higher_is_better=True or higher_is_better=False")
    if stated is not None and given is not None and stated is not given:
        raise ConfigError(
            f"{what} states higher_is_better={stated}, but higher_is_better={given} was passed; leave it out, "
            "or wrap the value in a function of your own if you do want the opposite"
        )
    return bool(given if stated is None else stated)
