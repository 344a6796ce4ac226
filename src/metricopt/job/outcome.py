"""What `optimize` returns, and its folder: weights in safetensors, figures in JSON, the report. No pickles."""

from __future__ import annotations

import copy
import html
import json
import math
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .._errors import CheckpointError, ConfigError
from ..profiles import Profile
from ..report import ReportData, Term
from ..runtime import (
    check_template,
    digest_of_file,
    read_sealed,
    read_tensors,
    read_whole,
    shown,
    strict_object,
    write_atomically,
    write_sealed,
    write_tensors,
)
from ..value import LearnedLoss, LearnedValue, Reading, read_metric
from .events import Observed
from .stages import Candidate
from .terms import told as limits_told


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of one call of `optimize`.

    Args:
        architecture: the model; read it as `.model`. None where a saved outcome was loaded without one.
        accepted: whether `.model` is a changed one. If not, it is the very model that was given.
        reason: why, in one sentence.
        before, after: the metric of the given and of the proposed model, on examples that the search never saw; where
            the proposal was refused, `.model` is still worth `before`.
        interval: (low, high) of the gain, positive is better, in units of the metric; None where nothing was tested.
        expected_gain: the gain to expect on fresh examples, in units of the metric: the measured one, corrected for
            having been accepted. One only hears of gains that passed the test, so those near its border were lucky.
        confidence: of the interval.
        calls, seconds: spent in all; calls include those of the acceptance test.
        phi: `(d,)`, the proposal; zeros where there was none.
        metric: its name. higher_is_better: its direction.
        candidates: what each stage proposed. history: every rating on the search part, in order.
        value: the learned value function with its observations, if one was learned.
        report_data: all that the report shows.
    """

    architecture: nn.Module | None = field(repr=False)
    accepted: bool
    reason: str
    before: float
    after: float
    interval: tuple[float, float] | None
    expected_gain: float = 0.0
    confidence: float
    calls: int
    seconds: float
    phi: Tensor = field(repr=False)
    metric: str
    higher_is_better: bool
    candidates: tuple[Candidate, ...] = field(default=(), repr=False)
    history: tuple[Observed, ...] = field(default=(), repr=False)
    value: LearnedValue | None = field(default=None, repr=False)
    report_data: ReportData = field(repr=False)

    @property
    def model(self) -> nn.Module:
        """The same architecture with folded weights if the change was accepted, else the model that was given."""
        if self.architecture is None:
            raise ConfigError(
                "this outcome was loaded without its model: weights are saved, code is not. "
                "Load it as metricopt.load(folder, model=...), with a model of the same architecture"
            )
        return self.architecture

    @property
    def observations(self) -> tuple[Tensor, Tensor]:
        """All that was rated on the search part: phis `(m, d)`, and their utilities `(m,)` in [0, 1], 1 is best.

        A saved outcome has none.
        """
        results = [one.result for one in self.candidates]
        if not results:
            return torch.zeros(0, len(self.phi)), torch.zeros(0, dtype=torch.float64)
        return torch.cat([one.phis for one in results]), torch.cat([one.utilities for one in results])

    def __str__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        """What a notebook shows: the summary."""
        return f"<pre>{html.escape(self.summary())}</pre>"

    def summary(self) -> str:
        """Two or three lines for a terminal: the figures, why, and what the metric turned out to reward."""
        sign = "accepted" if self.accepted else "not accepted"
        figures = f"{self.metric}: {self.before:.4f} -> {self.after:.4f}"
        if not self.accepted and self.after != self.before:
            figures += " (refused)"
        if self.interval is not None:
            figures += f", gain {self.interval[0]:+.4f} to {self.interval[1]:+.4f} ({100 * self.confidence:g} %)"
            if self.accepted:
                figures += f", expect {self.expected_gain:+.4f}"
        told = f"{figures}; {sign}\n{self.reason} {self.calls} metric calls, {self.seconds:.1f} s."
        reading = self.reading
        lines = [told, limits_told(self.terms, "acceptance rows" if self.interval is not None else "search rows")]
        if reading is not None and reading.parts:
            lines.append(f"The metric rewards {reading}.")
        return "\n".join(filter(None, lines))

    @property
    def terms(self) -> tuple[Term, ...]:
        """Of a constrained metric the objective and each limit, on the rows of `before` and `after`; none of others."""
        return self.report_data.terms

    @property
    def feasible(self) -> bool:
        """Whether the model that comes back keeps all limits of a constrained metric on the acceptance rows."""
        return all((one.kept if self.accepted else one.kept_before) is not False for one in self.terms)

    @property
    def reading(self) -> Reading | None:
        """What the metric turned out to reward; None where no value function was learned."""
        return None if self.value is None else read_metric(self.value)

    def learned_loss(self, profile: Profile | None = None) -> LearnedLoss:
        """What the metric turned out to reward as an ordinary loss, `(outputs, targets) -> scalar`, for any model.

        Args:
            profile: where the value function reads one with columns of your own.

        Raises:
            ConfigError: no value function was learned.
        """
        if self.value is None:
            raise ConfigError("no value function was learned in this run; the methods that learn one are metricopt*")
        return LearnedLoss(self.value, profile)

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write the report, one HTML file that opens anywhere."""
        from ..report import write  # the template engine is loaded when the first report is written

        return write(self.report_data, path)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write weights, figures, value function, report_data and report to `folder`; `metricopt.load` reads them.

        Raises:
            WriteFailed: the folder cannot be written.
        """
        return save(self, folder)


_WEIGHTS, _FIGURES, _DATA, _REPORT, _VALUE = (
    "model.safetensors",
    "outcome.json",
    "report_data.json",
    "report.html",
    "value",
)
_ROWS = "rows.jsonl"
_KIND, _VERSION = "optimized model", 1
#: What the figures answer for: other files of these names, from another outcome, are refused.
_SEALED = (_WEIGHTS, _ROWS, _DATA)


def save(outcome: Outcome, folder: str | os.PathLike[str]) -> Path:
    """Write every file atomically, the figures last: they hold digests of the rest, so a folder that loads is whole.

    Raises: WriteFailed, the folder cannot be written.
    """
    path = Path(folder)
    save_weights(outcome.model, outcome.phi, path / _WEIGHTS, accepted=outcome.accepted)
    if outcome.value is not None:
        outcome.value.save(path / _VALUE)
    rows = "".join(json.dumps(asdict(row), allow_nan=False) + "\n" for row in outcome.history)
    write_atomically(path / _ROWS, rows.encode())
    write_atomically(path / _DATA, outcome.report_data.to_json().encode())
    outcome.report(path / _REPORT)
    figures = {name: getattr(outcome, name) for name in _FIELDS} | {
        "interval": None if outcome.interval is None else list(outcome.interval),
        "value": outcome.value is not None,
        "files": {name: digest_of_file(path / name) for name in _SEALED},
        "kind": _KIND,
        "version": _VERSION,
    }
    write_sealed(path / _FIGURES, figures)
    return path


def save_weights(model: nn.Module, phi: Tensor, path: Path, *, accepted: bool) -> None:
    """The state of a model and the phi that it was made by, as safetensors."""
    state = {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
    settings = {"architecture": type(model).__name__, "accepted": accepted}
    write_tensors(path, state | {_PHI: phi}, kind=_KIND, version=_VERSION, settings=settings)


def load(folder: str | os.PathLike[str], model: nn.Module | None = None) -> Outcome:
    """Read what `Outcome.save` or a run folder holds.

    Args:
        folder: the folder.
        model: a model of the same architecture; the saved weights are loaded into a copy of it. Without one,
            everything but `.model` is there.

    Raises:
        CheckpointError: a file is missing, damaged or not what its name says, or the weights do not fit `model`.
    """
    if not isinstance(model, nn.Module | None):
        raise ConfigError(f"model must be a torch.nn.Module or None, got a {type(model).__name__}")
    path = Path(folder)
    figures = _figures(path / _FIGURES)
    files, has_value = figures.pop("files"), figures.pop("value")
    for name in _SEALED:
        if digest_of_file(path / name) != files.get(name):
            raise CheckpointError(
                f"{path / name} is not the file that was saved with {_FIGURES}: it was changed, or saving was stopped "
                "half-way. Save the outcome again, or run the same command again to finish it."
            )
    tensors, _ = read_tensors(path / _WEIGHTS, kind=_KIND, version=_VERSION)
    phi = tensors.pop(_PHI, None)
    if phi is None or phi.dim() != 1 or not phi.is_floating_point():
        raise CheckpointError(f"{path / _WEIGHTS} lacks the vector {_PHI!r}. Save the outcome again.")
    return Outcome(
        architecture=None if model is None else _filled(model, tensors, path / _WEIGHTS),
        phi=phi,
        value=LearnedValue.load(path / _VALUE) if has_value else None,
        history=_history(path / _ROWS),
        report_data=_report_data(path / _DATA),
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
        fits = leaf in ("weight", "bias") and tensors[name].is_floating_point()
        if fits and getattr(module, leaf, 0) is None:
            setattr(module, leaf, nn.Parameter(torch.zeros_like(tensors[name])))
    check_template(path, tensors, {n: v for n, v in twin.state_dict().items() if isinstance(v, Tensor)})
    twin.load_state_dict(tensors)
    return twin


def _report_data(path: Path) -> ReportData:
    try:
        return ReportData.from_json(read_whole(path).decode())
    except (UnicodeDecodeError, CheckpointError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from error


def _history(path: Path) -> tuple[Observed, ...]:
    wanted = {"stage": str, "call": int, "value": float, "best": float, "seconds": float}
    rows = []
    for line in read_whole(path).splitlines():
        row = strict_object(line, path)
        finite = all(math.isfinite(value) for value in row.values() if isinstance(value, float))
        if {name: type(value) for name, value in row.items()} != wanted or not finite:
            raise CheckpointError(f"{path} holds a line that is no rating: {shown(row)}. Save the outcome again.")
        rows.append(Observed(**row))
    return tuple(rows)


def _figures(path: Path) -> dict[str, Any]:
    try:
        found = read_sealed(path)
    except FileNotFoundError as error:
        raise CheckpointError(_why_absent(path)) from error
    wanted = set(_FIELDS) | {"interval", "value", "files", "kind", "version"}
    if set(found) != wanted or (found["kind"], found["version"]) != (_KIND, _VERSION):
        raise CheckpointError(f"{path} does not hold the fields {sorted(wanted)} of this version. Save it again.")
    for name, kind in {**_FIELDS, "value": bool, "files": dict}.items():
        if kind is float:
            found[name] = _number(found[name], name, path)
        elif type(found[name]) is not kind:
            raise CheckpointError(f"{path}: {name} should be {kind.__name__}, got {shown(found[name])}. Save it again.")
    interval = found["interval"]
    if interval is not None:
        if not isinstance(interval, list) or len(interval) != 2:
            told = shown(interval)
            raise CheckpointError(f"{path}: interval should be two numbers or null, got {told}. Save it again.")
        found["interval"] = tuple(_number(end, "an end of interval", path) for end in interval)
    return {name: found[name] for name in (*_FIELDS, "interval", "value", "files")}


def _why_absent(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {str(folder)!r}; give one that a run or Outcome.save wrote"
    if (folder / "search" / path.name).is_file():
        return (
            f"{folder} is the run of a table: metricopt.load({str(folder / 'search')!r}) reads its outcome, "
            f"metricopt.apps.table.model.TableModel.load({str(folder / _WEIGHTS)!r}) the model with its columns"
        )
    return f"{folder} holds no finished outcome: there is no {path.name}. Run the same command again to finish it."


def _number(value: Any, name: str, path: Path) -> float:
    if type(value) not in (int, float) or not abs(value) < _MOST:
        raise CheckpointError(f"{path}: {name} should be a number, got {shown(value)}. Save it again.")
    return float(value)


#: A figure of this size is no figure.
_MOST = 1e300
_PHI = "metricopt.phi"
_FIELDS: dict[str, type] = {
    "accepted": bool,
    "reason": str,
    "before": float,
    "after": float,
    "expected_gain": float,
    "confidence": float,
    "calls": int,
    "seconds": float,
    "metric": str,
    "higher_is_better": bool,
}
