"""What `evolve` returns, and its folder: the loss and figures in JSON, weights, the report. No pickles."""

from __future__ import annotations

import copy
import html
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from .. import __version__
from .._errors import CheckpointError, ConfigError
from .._types import LossFunction
from ..evolution import (
    FATES,
    BaseTask,
    Final,
    Formula,
    FormulaLosses,
    Outputs,
    SearchState,
    SymbolicLoss,
    parse,
    simplified,
    to_latex,
    turned,
)
from ..metrics import Metric
from ..report import CurveShown, GenerationShown, LossSearch, LossShown, ReportData
from ..runtime import (
    check_template,
    describe_environment,
    read_tensors,
    write_atomically,
    write_tensors,
)
from .acceptance import Verdict
from .build_report import Scores, confusion_of, histogram_of
from .figures import Figures, read_report_data

LOSS, WEIGHTS, FIGURES, DATA, REPORT = (
    "loss.json",
    "model.safetensors",
    "evolved.json",
    "report_data.json",
    "report.html",
)
_KIND, _VERSION = "metricopt evolved", 1
_CURVES = 3


@final
@dataclass(frozen=True, kw_only=True)
class Best:
    """The winner.

    Args:
        loss: it.
        value: the metric on the search part, mean over the final trainings.
    """

    loss: SymbolicLoss
    value: float

    @property
    def formula(self) -> Formula:
        return self.loss.formula

    def as_loss(self) -> SymbolicLoss:
        """An ordinary loss, `(scores, targets) -> scalar`: it trains any model, `LOSSES.add(loss.entry())` takes it."""
        return self.loss


@final
@dataclass(frozen=True, kw_only=True)
class Evolved:
    """The result of one call of `evolve`.

    Args:
        best: the loss that was found.
        architecture: the network trained with it, or with the plain loss where it was not accepted; read it as
            `.model`. None where a saved result was loaded without one.
        accepted: whether the evolved loss was better, beyond chance, on examples that nobody chose by.
        reason: why, in one sentence.
        before, after: the metric of the networks trained with the plain and with the evolved loss, on these examples.
        interval: (low, high) of the gain, positive is better; None where nothing was tested.
        expected_gain: the measured gain, corrected for having been accepted.
        confidence: of the interval.
        calls, seconds: spent in all.
        metric: its name. higher_is_better: its direction.
        report_data: all that the report shows.
    """

    best: Best
    architecture: nn.Module | None = field(repr=False)
    accepted: bool
    reason: str
    before: float
    after: float
    interval: tuple[float, float] | None
    expected_gain: float
    confidence: float
    calls: int
    seconds: float
    metric: str
    higher_is_better: bool
    report_data: ReportData = field(repr=False)

    @property
    def model(self) -> nn.Module:
        """The network trained with the evolved loss if it was accepted, else the one trained with the plain loss."""
        if self.architecture is None:
            raise ConfigError(
                "this result was loaded without its network: weights are saved, code is not. Load it as "
                "Evolved.load(folder, model=...), with a network of the same architecture"
            )
        return self.architecture

    @property
    def front(self) -> tuple[LossShown, ...]:
        """For each size the best formula, where no smaller one is as good, with its metric after a short training."""
        assert self.report_data.loss_search is not None
        return self.report_data.loss_search.front

    def __str__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        """What a notebook shows: the summary."""
        return f"<pre>{html.escape(self.summary())}</pre>"

    def summary(self) -> str:
        """A few lines for a terminal: the formula, the figures, and why."""
        assert self.report_data.loss_search is not None
        found = self.report_data.loss_search
        figures = f"{self.metric}: {self.before:.4f} with {found.plain}, {self.after:.4f} with the evolved loss"
        if self.interval is not None:
            figures += f", gain {self.interval[0]:+.4f} to {self.interval[1]:+.4f} ({100 * self.confidence:g} %)"
        sign = "accepted" if self.accepted else "not accepted"
        return (
            f"{found.formula}\nin short: {found.short}\n{figures}; {sign}\n"
            f"{self.reason} {self.calls} metric calls, {self.seconds:.1f} s."
        )

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write the report, one HTML file that opens anywhere."""
        from ..report import write

        return write(self.report_data, path)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write loss, weights, figures and report to `folder`; `Evolved.load` reads them. Raises WriteFailed."""
        path = Path(folder)
        self.best.loss.save(path / LOSS)
        state = {name: value for name, value in self.model.state_dict().items() if isinstance(value, Tensor)}
        settings = {"architecture": type(self.model).__name__, "accepted": self.accepted}
        write_tensors(path / WEIGHTS, state, kind=_KIND, version=_VERSION, settings=settings)
        write_atomically(path / DATA, self.report_data.to_json().encode())
        self.report(path / REPORT)
        Figures.write(self, path / FIGURES, kind=_KIND, value=self.best.value, files=(LOSS, WEIGHTS, DATA))
        return path

    @classmethod
    def load(cls, folder: str | os.PathLike[str], model: nn.Module | None = None) -> Evolved:
        """Read what `save` or a run folder holds.

        Args:
            folder: the folder.
            model: a network of the same architecture; the saved weights are loaded into a copy of it.

        Raises:
            CheckpointError: a file is missing, damaged or not what its name says, or the weights do not fit `model`.
        """
        path = Path(folder)
        try:
            figures = Figures.read(path / FIGURES, kind=_KIND, value=float, files=(LOSS, WEIGHTS, DATA))
            return cls(
                best=Best(loss=SymbolicLoss.load(path / LOSS), value=figures.value),
                architecture=None if model is None else _with_weights(path / WEIGHTS, model),
                report_data=read_report_data(path / DATA),
                **figures.of_result(),
            )
        except FileNotFoundError as error:
            raise CheckpointError(f"{path} holds no finished search for losses: {error.filename} is missing") from error


def is_finished(folder: str | os.PathLike[str]) -> bool:
    """Whether a run folder holds the result of a search for losses."""
    return (Path(folder) / FIGURES).exists()


def _with_weights(path: Path, model: nn.Module) -> nn.Module:
    found = copy.deepcopy(model)
    tensors, _ = read_tensors(path, kind=_KIND, version=_VERSION)
    check_template(path, tensors, found.state_dict())
    found.load_state_dict(tensors)
    return found.eval()


# --- made at the end of a search -----------------------------------------------------------------------------------


def evolved_of(
    model: nn.Module,
    task: BaseTask,
    found: Sequence[Final],
    state: SearchState,
    verdict: Verdict,
    *,
    plain_name: str,
    plain: LossFunction,
    scores: Scores | None,
    verified: bool,
    calls: int,
    seconds: float,
    confidence: float,
    seed: int,
    names: Sequence[str] | None,
    called: str,
) -> Evolved:
    """The result of a search that is over: the winner, the network that is handed out, and the data of the report."""
    best, metric = found[0].candidate, task.metric
    assert best is not None
    network = copy.deepcopy(model)
    network.load_state_dict(found[0 if verdict.accepted else -1].learner.state())
    machine = describe_environment()
    facts = {
        "network": type(model).__name__,
        "parameters": f"{sum(one.numel() for one in model.parameters()):,}",
        "rows": f"{len(task.x):,} to train on, {len(task.val_x):,} to choose by",
        "SGD": f"batches of {task.batch}, learning rate {task.rate:g}, momentum {task.momentum:g}",
        "plain loss": plain_name,
        "seed": str(seed),
        "machine": f"{machine['cpu']}, {machine['cores']} cores, torch {machine['torch']}",
        "metricopt": __version__,
    }
    data = ReportData(
        title=f"A loss for {called}",
        metric=called,
        higher_is_better=metric.higher_is_better,
        bounds=metric.bounds,
        before=verdict.before,
        after=verdict.after,
        low=verdict.low if verified else None,
        high=verdict.high if verified else None,
        confidence=confidence,
        accepted=verdict.accepted,
        reason=verdict.reason,
        verified=verified,
        calls=calls,
        seconds=seconds,
        facts=facts,
        confusion=confusion_of(scores, names) if scores else None,
        histogram=histogram_of(scores, names) if scores else None,
        loss_search=loss_search_of(state, found, metric, outputs=task.outputs, plain_name=plain_name, plain=plain),
    )
    return Evolved(
        best=Best(
            loss=SymbolicLoss(best.formula, task.outputs, metric=metric.name), value=turned(metric, found[0].error)
        ),
        architecture=network.eval(),
        accepted=verdict.accepted,
        reason=verdict.reason,
        before=verdict.before,
        after=verdict.after,
        interval=(verdict.low, verdict.high) if verified else None,
        expected_gain=verdict.expected,
        confidence=confidence,
        calls=calls,
        seconds=seconds,
        metric=called,
        higher_is_better=metric.higher_is_better,
        report_data=data,
    )


def loss_search_of(
    state: SearchState, finals: Sequence[Final], metric: Metric, *, outputs: Outputs, plain_name: str, plain: Any
) -> LossSearch:
    """What the report shows of the search."""
    best = finals[0].candidate
    assert best is not None
    places, axis, curves = _curves(finals, outputs, plain_name, plain)
    return LossSearch(
        formula=best.shown,
        latex=to_latex(parse(best.shown)),
        short=str(simplified(best.tree)),
        plain=plain_name,
        baseline=turned(metric, state.baseline),
        fates=FATES,
        generations=tuple(
            GenerationShown(
                best=_raw(metric, one.best),
                median=_raw(metric, one.median),
                fates=tuple(one.fates[fate] for fate in FATES),
            )
            for one in state.history
        ),
        front=tuple(
            LossShown(formula=one.shown, size=one.tree.size, value=turned(metric, one.error)) for one in state.front
        ),
        finals=tuple(_final(one, metric, plain_name) for one in finals if math.isfinite(one.error)),
        axis=axis,
        places=places,
        curves=curves,
    )


def _final(one: Final, metric: Metric, plain_name: str) -> LossShown:
    if one.candidate is None:
        name = plain_name if one.scale == 1 else f"{one.scale:g} * {plain_name}"
        return LossShown(formula=name, size=0, value=turned(metric, one.error))
    return LossShown(formula=one.candidate.shown, size=one.candidate.tree.size, value=turned(metric, one.error))


def _raw(metric: Metric, error: float) -> float | None:
    return turned(metric, error) if math.isfinite(error) else None


def _curves(
    finals: Sequence[Final], outputs: Outputs, plain_name: str, plain: Any
) -> tuple[tuple[float, ...], str, tuple[CurveShown, ...]]:
    """The winner, the plain loss and further finalists along the margin: one class against the rest, or one value."""
    values = outputs == "values"
    margins = torch.linspace(-3 if values else -6, 3 if values else 6, 121)
    sides = (torch.zeros(121), torch.zeros(121)) if values else (torch.ones(121), torch.zeros(121))
    candidates = [one.candidate for one in finals if one.candidate is not None][:_CURVES]
    kind: Outputs = "values" if values else "binary"
    losses = FormulaLosses([one.formula for one in candidates], kind)
    found = []
    f = (margins if values else margins.sigmoid())[None, :, None].expand(len(candidates), -1, -1)
    both = [losses.elementwise(side[:, None], f)[..., 0] for side in sides]
    for at, one in enumerate(candidates):
        name = f"evolved: {one.shown}" if at == 0 else f"finalist {at + 1}: {one.shown}"
        found.append(_curve(name, both[0][at], both[1][at]))
    try:
        usual = [torch.stack([plain(z[None], y[None]) for z, y in zip(margins, side, strict=True)]) for side in sides]
        found.insert(1, _curve(plain_name, *usual))
    except (ConfigError, RuntimeError, ValueError, IndexError):  # a loss of whole batches has no curve
        pass
    axis = "prediction less target" if values else "score of a class (its log-odds)"
    whole = [one for one in found if all(map(math.isfinite, (*one.positive, *one.negative)))]
    return tuple(margins.tolist()), axis, tuple(whole)


def _curve(name: str, positive: Tensor, negative: Tensor) -> CurveShown:
    with torch.no_grad():
        sides = [tuple(float(value) for value in side.clamp(-1e30, 1e30)) for side in (positive, negative)]
    return CurveShown(name=name, positive=sides[0], negative=sides[1])
