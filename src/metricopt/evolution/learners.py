"""Networks of one shape that learn side by side, each with a loss of its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .._checks import at_least, below_one, not_negative, one_of, positive
from .._errors import ConfigError, MetricError
from .._random import generator
from .._types import LossFunction
from .._vmap_or_loop import VmapOrLoop
from ..metrics import Metric
from .loss_population import OUTPUTS, LossPopulation, Outputs, PlainLosses, flat

_BLOCK = 4096
_NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm, nn.modules.instancenorm._InstanceNorm)


@final
@dataclass(frozen=True, kw_only=True)
class BaseTask:
    """What losses are tried on: a network to be trained anew for each, rows to learn from, rows to be judged by.

    Args:
        net: the shape of the network; its values do not matter, `initial` draws new ones.
        x, y: training rows.
        val_x, val_y: rows that the metric is asked about. No figure that is reported may come from them.
        outputs: what the scores stand for.
        metric: that losses are bred for; called once for each loss that is trained.
        objective: what the constants of a formula are tuned by: a differentiable loss on batches of the validation
            rows.
        batch, rate, momentum, decay: of the SGD (Nesterov where there is momentum).
    """

    net: nn.Module = field(repr=False)
    x: Tensor = field(repr=False)
    y: Tensor = field(repr=False)
    val_x: Tensor = field(repr=False)
    val_y: Tensor = field(repr=False)
    outputs: Outputs
    metric: Metric
    objective: LossFunction = field(repr=False)
    batch: int = 128
    rate: float = 0.01
    momentum: float = 0.0
    decay: float = 0.0

    def __post_init__(self) -> None:
        one_of("outputs", self.outputs, OUTPUTS)
        at_least("batch", self.batch, 1)
        positive("rate", self.rate)
        below_one("momentum", self.momentum)
        not_negative("decay", self.decay)
        for name, x, y in (("training", self.x, self.y), ("validation", self.val_x, self.val_y)):
            if len(x) != len(y) or len(x) == 0:
                raise ConfigError(
                    f"{name} rows: {len(x)} inputs and {len(y)} targets; give as many of both, some at least"
                )
        if self.metric.reads == "model":
            raise ConfigError(
                f"metric {self.metric.name!r} reads the whole model, but losses are bred by metrics of outputs; give "
                "one that reads scores, probabilities or labels"
            )

    def value(self, scores: Tensor) -> float:
        """The metric of scores of the validation rows."""
        return self.metric(flat(scores, self.outputs).cpu(), self.val_y.cpu())

    def error(self, scores: Tensor) -> float:
        """The same, turned so that less is better; infinite where there is none."""
        if not bool(scores.isfinite().all()):
            return math.inf
        try:
            return turned(self.metric, self.value(scores))
        except MetricError:  # it rated the plain loss without complaint: this candidate is what it cannot rate
            return math.inf


def training_mode(net: nn.Module) -> None:
    """Training mode, but for dropout: what it draws would depend on who trains beside whom."""
    net.train()
    for module in net.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.eval()


def turned(metric: Metric, value: float) -> float:
    """A raw value such that less is better; the same again turns it back."""
    return -value if metric.higher_is_better else value


def initial(net: nn.Module, *, source: torch.Generator) -> dict[str, Tensor]:
    """New values for the parameters of a network, drawn as torch does: uniform within 1 / sqrt(fan-in).

    Norms begin as the identity. A vector that belongs to no matrix keeps the value that it has in `net`.
    """
    found: dict[str, Tensor] = {}
    for prefix, module in net.named_modules():
        own = dict(module.named_parameters(recurse=False))
        weight = own.get("weight")
        for name, value in own.items():
            full = f"{prefix}.{name}" if prefix else name
            if isinstance(module, _NORMS):
                found[full] = torch.ones_like(value) if name == "weight" else torch.zeros_like(value)
                continue
            shape = value.shape if value.dim() > 1 else weight.shape if weight is not None else None
            if shape is None or len(shape) < 2:
                found[full] = value.detach().clone()
                continue
            bound = 1 / math.sqrt(math.prod(shape[1:]))
            # Drawn on the CPU: the same network wherever it is trained.
            drawn = torch.empty(value.shape, dtype=value.dtype).uniform_(-bound, bound, generator=source)
            found[full] = drawn.to(value.device)
    return {name: value.detach() for name, value in found.items()}


@final
class Learners:
    """n copies of a network, all with the same initial values.

    Layers run for all of them at once, by `torch.func.vmap`; where that has no rule, one after the other.
    """

    def __init__(self, net: nn.Module, n: int, *, source: torch.Generator) -> None:
        self.net, self.n = net, n
        values = initial(net, source=source)
        self.parameters = {name: _copies(value, n).requires_grad_() for name, value in values.items()}
        self.buffers = {name: _copies(_fresh(name, value), n) for name, value in net.named_buffers()}
        self._each = VmapOrLoop()

    def scores(self, x: Tensor, parameters: dict[str, Tensor] | None = None) -> Tensor:
        """`(n, B, C)` scores of one batch."""

        def one(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Any:
            return functional_call(self.net, (parameters, buffers), (x,))

        training = self.net.training
        found: Tensor = self._each(("scores", training), one, parameters or self.parameters, self.buffers)
        return found[..., None] if found.dim() == 2 else found

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """`(n, N, C)` scores in evaluation mode."""
        self.net.eval()
        return torch.cat([self.scores(block) for block in x.split(_BLOCK)], dim=1)

    def member(self, number: int) -> Learners:
        """One of them, alone."""
        found = object.__new__(Learners)
        found.net, found.n, found._each = self.net, 1, VmapOrLoop()
        found.parameters, found.buffers = (
            {name: value[number : number + 1].detach() for name, value in of.items()}
            for of in (self.parameters, self.buffers)
        )
        return found

    def state(self, member: int = 0) -> dict[str, Tensor]:
        """The state of one member, for `load_state_dict`."""
        both = {**self.parameters, **self.buffers}
        return {name: value[member].detach().clone() for name, value in both.items()}


def taught(
    task: BaseTask,
    losses: LossPopulation,
    *,
    steps: int,
    seed: int,
    watch: Callable[[int], None] = lambda step: None,
) -> Learners:
    """Networks trained side by side: the same initial values and the same batches for all, so that losses differ alone.

    Args:
        task: network and rows.
        losses: one for each network.
        steps: SGD steps.
        seed: of initial values and batches.
        watch: is told each step.
    """
    learners = Learners(task.net, len(losses), source=generator("learners", seed))
    batches = generator("batches", seed)
    values = list(learners.parameters.values())
    velocities = [torch.zeros_like(value) for value in values] if task.momentum else []
    training_mode(task.net)
    for step in range(steps):
        rows = torch.randint(len(task.x), (min(task.batch, len(task.x)),), generator=batches)
        losses_now = losses(learners.scores(task.x[rows]), task.y[rows])
        if losses_now.requires_grad:
            slopes = torch.autograd.grad(losses_now.sum(), values, allow_unused=True)
            _descend(
                task,
                values,
                [torch.zeros_like(v) if s is None else s for v, s in zip(values, slopes, strict=True)],
                velocities,
            )
        watch(step)
    return learners


#: A loss is not made larger or smaller than by this factor.
_MOST_SCALE = 100.0


def scales_like(plain: LossFunction, losses: LossPopulation, task: BaseTask, *, seed: int) -> list[float]:
    """Factors that give each loss the size of slope that `plain` has on the scores of a fresh network.

    Without them the size of a formula is its learning rate, and a search finds out about learning rates first.
    """
    source = generator("scales", seed)
    learners = Learners(task.net, 1, source=source)
    rows = torch.randint(len(task.x), (min(4 * task.batch, len(task.x)),), generator=source)
    with torch.no_grad():
        scores = learners.scores(task.x[rows])
    sizes = []
    for population in (PlainLosses([plain], task.outputs), losses):
        at = scores.expand(len(population), *scores.shape[1:]).clone().requires_grad_()
        values = population(at, task.y[rows])
        slopes = torch.autograd.grad(values.sum(), at)[0] if values.requires_grad else torch.zeros_like(at)
        sizes.append(slopes.flatten(1).norm(dim=1))
    factors = (sizes[0] / sizes[1]).nan_to_num(1.0, 1.0, 1.0)
    return [float(one) for one in factors.clamp(1 / _MOST_SCALE, _MOST_SCALE)]


@torch.no_grad()
def _descend(task: BaseTask, values: list[Tensor], slopes: list[Tensor], velocities: list[Tensor]) -> None:
    """One step of SGD in torch's own arithmetic, with Nesterov momentum where there is momentum."""
    if task.decay:
        torch._foreach_add_(slopes, values, alpha=task.decay)
    if velocities:
        torch._foreach_mul_(velocities, task.momentum)
        torch._foreach_add_(velocities, slopes)
        torch._foreach_add_(slopes, velocities, alpha=task.momentum)
    torch._foreach_add_(values, slopes, alpha=-task.rate)


def _copies(value: Tensor, n: int) -> Tensor:
    return value.expand(n, *value.shape).clone()


def _fresh(name: str, value: Tensor) -> Tensor:
    """A buffer as it is before training: running figures of norms begin anew, whatever the template has seen."""
    if name.endswith(("running_mean", "num_batches_tracked")):
        return torch.zeros_like(value)
    return torch.ones_like(value) if name.endswith("running_var") else value.detach()
