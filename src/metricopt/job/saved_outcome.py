"""An outcome in a folder: weights in safetensors, figures in JSON, the report beside them. Nothing is pickled."""

from __future__ import annotations

import copy
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .._errors import CheckpointError
from ..report import Story
from ..runtime import check_template, read_tensors, write_atomically, write_tensors
from ..value import LearnedValue
from .events import Observed
from .outcome import Outcome

_WEIGHTS, _FIGURES, _STORY, _REPORT, _VALUE = "model.safetensors", "outcome.json", "story.json", "report.html", "value"
_ROWS = "rows.jsonl"
_KIND, _VERSION = "optimized model", 1


def save(outcome: Outcome, folder: str | os.PathLike[str]) -> Path:
    """Write every file atomically, the figures last: a folder with figures is complete."""
    path = Path(folder)
    state = {name: value for name, value in outcome.model.state_dict().items() if isinstance(value, Tensor)}
    settings = {"architecture": type(outcome.model).__name__, "accepted": outcome.accepted}
    write_tensors(path / _WEIGHTS, state | {_PHI: outcome.phi}, kind=_KIND, version=_VERSION, settings=settings)
    if outcome.value is not None:
        outcome.value.save(path / _VALUE)
    rows = "".join(json.dumps(asdict(row), allow_nan=False) + "\n" for row in outcome.history)
    write_atomically(path / _ROWS, rows.encode())
    write_atomically(path / _STORY, outcome.story.to_json().encode())
    outcome.report(path / _REPORT)
    figures = {name: getattr(outcome, name) for name in _FIELDS} | {
        "interval": None if outcome.interval is None else list(outcome.interval),
        "kind": _KIND,
        "version": _VERSION,
    }
    write_atomically(path / _FIGURES, json.dumps(figures, indent=2, allow_nan=False).encode() + b"\n")
    return path


def load(folder: str | os.PathLike[str], model: nn.Module | None = None) -> Outcome:
    """Read what `Outcome.save` or a run folder holds.

    Args:
        folder: the folder.
        model: a model of the same architecture; the saved weights are loaded into a copy of it. Without one,
            everything but `.model` is there.

    Raises:
        CheckpointError: a file is missing, damaged or not what its name says, or the weights do not fit `model`.
    """
    path = Path(folder)
    figures = _figures(path / _FIGURES)
    tensors, _ = read_tensors(path / _WEIGHTS, kind=_KIND, version=_VERSION)
    if _PHI not in tensors:
        raise CheckpointError(f"{path / _WEIGHTS} lacks the tensor {_PHI!r}. Save the outcome again.")
    phi = tensors.pop(_PHI)
    try:
        story = Story.from_json((path / _STORY).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"cannot read {path / _STORY}: {error}. Save the outcome again.") from error
    return Outcome(
        architecture=None if model is None else _filled(model, tensors, path / _WEIGHTS),
        phi=phi,
        value=LearnedValue.load(path / _VALUE) if (path / _VALUE).exists() else None,
        history=_history(path / _ROWS),
        story=story,
        **figures,
    )


def _filled(model: nn.Module, tensors: dict[str, Tensor], path: Path) -> nn.Module:
    """A copy of `model` with the saved weights, which may hold biases that it lacks: folding adds them."""
    twin = copy.deepcopy(model)
    for name in sorted(set(tensors) - set(twin.state_dict())):
        owner, _, leaf = name.rpartition(".")
        try:
            module = twin.get_submodule(owner)
        except AttributeError:
            continue
        if leaf in ("weight", "bias") and getattr(module, leaf, 0) is None:
            setattr(module, leaf, nn.Parameter(torch.zeros_like(tensors[name])))
    check_template(path, tensors, {n: v for n, v in twin.state_dict().items() if isinstance(v, Tensor)})
    twin.load_state_dict(tensors)
    return twin


def _history(path: Path) -> tuple[Observed, ...]:
    wanted = {"stage": str, "call": int, "value": float, "best": float, "seconds": float}
    rows = []
    try:
        for line in path.read_bytes().splitlines():
            row = json.loads(line)
            if not isinstance(row, dict) or {name: type(value) for name, value in row.items()} != wanted:
                raise ValueError(f"{line[:80]!r} is not a rating")
            rows.append(Observed(**row))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"cannot read {path}: {error}. Save the outcome again.") from error
    return tuple(rows)


def _figures(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path.parent} holds no finished outcome: there is no {path.name}. Run the same command again to finish it."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"cannot read {path}: {error}. Save the outcome again.") from error
    wanted = set(_FIELDS) | {"interval", "kind", "version"}
    if not isinstance(found, dict) or set(found) != wanted or (found["kind"], found["version"]) != (_KIND, _VERSION):
        raise CheckpointError(f"{path} does not hold the fields {sorted(wanted)} of this version. Save it again.")
    for name, kind in _FIELDS.items():
        number = kind is float and type(found[name]) in (int, float)
        if not number and type(found[name]) is not kind:
            raise CheckpointError(f"{path}: {name} should be {kind.__name__}, got {found[name]!r}. Save it again.")
    interval = found["interval"]
    if interval is not None:
        sound = isinstance(interval, list) and len(interval) == 2 and all(type(n) in (int, float) for n in interval)
        if not sound:
            raise CheckpointError(f"{path}: interval should be two numbers or null, got {interval!r}. Save it again.")
        interval = (float(interval[0]), float(interval[1]))
    return {name: found[name] for name in _FIELDS} | {"interval": interval}


_PHI = "metricopt.phi"
_FIELDS: dict[str, type] = {
    "accepted": bool,
    "reason": str,
    "before": float,
    "after": float,
    "confidence": float,
    "calls": int,
    "seconds": float,
    "metric": str,
    "higher_is_better": bool,
}
