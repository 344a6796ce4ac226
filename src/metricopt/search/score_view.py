"""What a search sees of one problem: phi in steps of its scale, profiles of scores, and batches to climb through."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from .._adam import Adam
from .._random import generator as named_generator
from ..problem import Problem
from ..profiles import Profile
from ..workload.nests import concatenated, numel, on
from ..workload.resampling import resample, resampling_of, spread_factor, units_of

#: What infinite scores count as in a profile.
_FAR = 1e4
#: Phis that go through the model together.
_TOGETHER = 8
#: Training rows that profiles are pooled with.
_MOST_POOLED = 4096
#: With more numbers of features than this a batch takes fewer rows, and a pass over the search split is dear.
_MANY_NUMBERS = 1 << 21
#: With more targets than this, of a class for each pixel, too.
_MANY_TARGETS = 1 << 13


class Batch(NamedTuple):
    """Rows that are climbed through: features in front of phi, targets, and which slices they belong to."""

    features: Any
    targets: Any
    slices: Tensor | None = None


#: Outputs `(n, B, ...)` of a batch, the batch, and the points `(n, d)` to `(n,)`: what is climbed.
Objective = Callable[[Tensor, Batch, Tensor], Tensor]


@final
class ScoreView:
    """Points z = phi / phi_scale, their profiles, and what the memory of the problem holds of them.

    Args:
        problem: what is to be improved; its memory is read, whoever filled it.
        profile: of its outputs.
        search_share: of the rows that are climbed through, those of the search split; the others are training rows,
            drawn with the search split's shares of classes.
        rows: in a batch.
        seed: of all draws.
    """

    def __init__(self, problem: Problem, profile: Profile, *, search_share: float, rows: int, seed: int) -> None:
        self.problem, self.workload, self.profile = problem, problem.workload, profile
        self.families = profile.family_index()
        self.dim = problem.dim
        self.generator = named_generator(seed, "score view")
        self._scale = problem.phi_scale
        self._targets = self.workload.targets
        self._read_targets = profile.of_targets(self._targets)
        self._share = search_share
        numbers = numel(self.workload.search_features(torch.zeros(1, dtype=torch.long))[0])
        # Records go through the model phi by phi, and are matched with targets: a row of theirs is many.
        alone = self.workload.adapted.gives_records
        self._rows = min(64, rows) if alone else max(min(rows, _MANY_NUMBERS // max(numbers, 1)), min(64, rows))
        if not alone:
            self._rows = min(self._rows, max(_MANY_TARGETS // (self._read_targets.numel() // len(self._targets)), 16))
        #: Whether a pass over the search split costs more than what a search does beside it.
        self.dear = alone or numbers * len(self._targets) > _MANY_NUMBERS
        self._chances = _chances(self._targets, self.workload.train_targets, self.workload.train_size)
        self.z = torch.zeros(0, self.dim)
        self.psi = torch.zeros(0, len(profile.columns))

    # --- points and profiles ----------------------------------------------------------------------

    def phi(self, z: Tensor) -> Tensor:
        return z * self._scale

    @property
    def utilities(self) -> Tensor:
        """`(m,)`, of all that was observed, in order."""
        return self.problem.memory.utilities

    def sync(self, outputs: Any = None) -> None:
        """Take in what was observed since the last time; `outputs` are those of the points, where they are at hand."""
        new = self.problem.memory.phis[len(self.z) :]
        if len(new):
            z = new / self._scale
            psi = self.profiles(z) if outputs is None else self.profiles_from(outputs[: len(new)])
            self.z, self.psi = torch.cat([self.z, z]), torch.cat([self.psi, psi])

    @torch.no_grad()
    def profiles(self, z: Tensor) -> Tensor:
        """`(n, K)` on the search split; no metric call."""
        parts = [self.profiles_from(self.outputs(part)) for part in z.split(_TOGETHER)]
        return torch.cat(parts) if parts else self.psi[:0]

    def profiles_and_outputs(self, z: Tensor) -> tuple[Tensor, Any]:
        """Profiles of points, and their outputs where they are few enough to be kept."""
        if len(z) > _TOGETHER:
            return self.profiles(z), None
        outputs = self.outputs(z)
        return self.profiles_from(outputs), outputs

    def outputs(self, z: Tensor) -> Any:
        """Outputs on the search split, `(n, N, ...)` or a list with an entry for each point; no metric call."""
        return self.problem.outputs(self.phi(z))

    @torch.no_grad()
    def profiles_from(self, outputs: Any) -> Tensor:
        """`(n, K)` of such outputs."""
        return self.profile(self._tensor_of(outputs), self._read_targets, self.workload.slices_of("val")).cpu()

    def _tensor_of(self, outputs: Any) -> Tensor:
        """Outputs on the search split, as the profile reads them."""
        return _finite(self.profile.of_outputs(outputs, self._targets))

    @torch.no_grad()
    def resampled(self, z: Tensor, resamples: int) -> Tensor:
        """`(r, n, K)`: profiles on resamples of the search split, the same ones for all points; no metric call.

        Their spread is how much profiles would differ on other examples, see `metricopt.workload.resample`.
        """
        groups = self.workload.groups
        how = resampling_of(self.problem.metric.resampling, self.workload.kind, groups)
        outputs = _joined([self._tensor_of(self.outputs(part)) for part in z.split(_TOGETHER)])
        targets, slices = self._read_targets, self.workload.slices_of("val")
        if how == "none":
            return self.profile(outputs, targets, slices).cpu()[None]
        found = []
        for _ in range(resamples):
            chosen = resample(self._targets, how, generator=self.generator, groups=groups, within=True)
            found.append(self.profile(outputs[:, chosen], targets[chosen], _some(slices, chosen)).cpu())
        drawn = torch.stack(found)
        factor = spread_factor(how, units_of(len(self._targets), groups))
        return drawn.mean(dim=0) + factor * (drawn - drawn.mean(dim=0))

    @torch.no_grad()
    def second_opinion(self, z: Tensor, resamples: int) -> tuple[Tensor, Tensor, float]:
        """Profiles of z `(n, K)` on training rows with the search split's classes, on resamples of these `(r, n, K)`,
        and how much they may be trusted, in [0, 1]. Row 0 of z must be phi = 0.

        Profiles are moved so that phi = 0 has that of the search split. Training rows that a network has learned by
        heart say nothing: their trust is (how well the search split fits / how well the training rows fit)^2.
        """
        count = min(_MOST_POOLED, self.workload.train_size)
        drawn = self._training_rows(count) if self._chances is not None else _evenly(self.workload.train_size, count)
        batch = self._of_training(drawn)
        outputs = _joined([self.outputs_of(part, batch).cpu() for part in z.split(_TOGETHER)])
        targets = self.profile.of_targets(batch.targets).cpu()
        slices, here = batch.slices, self.profiles(z[:1])
        found = self.profile(outputs, targets, slices)
        moved, fit = here - found[:1], self.profile.fit_column
        if fit is None:
            return found + moved, found[None] + moved, 0.0
        ratio = float(found[0, fit] / here[0, fit].clamp_max(-1e-9))
        rows = torch.randint(count, (resamples, count), generator=self.generator)
        again = torch.stack([self.profile(outputs[:, index], targets[index], _some(slices, index)) for index in rows])
        return found + moved, again + moved, min(max(ratio, 0.0), 1.0) ** 2 * self._distinct_share()

    def _distinct_share(self) -> float:
        """Rows that are drawn with unequal chances count less: the share that the sample is worth."""
        if self._chances is None:
            return 1.0
        chances = self._chances / self._chances.sum()
        worth = 1 / float(chances.square().sum())
        return min(worth / min(_MOST_POOLED, self.workload.train_size), 1.0)

    # --- batches ----------------------------------------------------------------------------------

    def batch(self) -> Batch:
        """Rows of the search split and of the training examples."""
        of_search = round(self._rows * self._share)
        parts = []
        if of_search:
            index = torch.randint(len(self._targets), (of_search,), generator=self.generator)
            parts.append(Batch(*self.workload.search_features(index), self.workload.slices_of("val", index)))
        if self._rows - of_search:
            parts.append(self._of_training(self._training_rows(self._rows - of_search)))
        features, targets, slices = zip(*parts, strict=True)
        device = self.workload.adapted.phi.device
        return Batch(
            concatenated(list(features)),
            concatenated([on(one, device) for one in targets]),
            None if slices[0] is None else torch.cat(slices),
        )

    def _of_training(self, rows: Tensor) -> Batch:
        return Batch(*self.workload.features(rows), self.workload.slices_of("train", rows))

    def outputs_of(self, z: Tensor, batch: Batch) -> Tensor:
        """Outputs `(n, B, ...)` of a batch, differentiable in z."""
        adapted, phis = self.workload.adapted, self.phi(z).to(self.workload.adapted.phi)
        with self.workload.precision():
            outputs = adapted.outputs(phis, batch.features)
        return self.profile.of_outputs(outputs, batch.targets).float()

    def profiles_of(self, z: Tensor, batch: Batch) -> Tensor:
        """Profiles `(n, K)` of a batch, differentiable in z."""
        return self.read(self.outputs_of(z, batch), batch)

    def read(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Profiles `(n, K)` of a batch's outputs."""
        return self.profile(outputs, self.profile.of_targets(batch.targets).to(outputs.device), batch.slices).cpu()

    def climb(self, start: Tensor, objective: Objective, *, steps: int, rate: float) -> list[Tensor]:
        """Adam upwards from `start` `(n, d)`, all points in lock-step; `(n, d)` after each step.

        `objective(outputs, batch, z) -> (n,)`. A point that is lost (not finite) stays where it was.
        """
        z, adam = start.clone(), Adam(rate)
        path = []
        for _ in range(steps):
            batch = self.batch()
            with torch.enable_grad():
                here = z.clone().requires_grad_(True)
                worth = objective(self.outputs_of(here, batch), batch, here)
                (slope,) = torch.autograd.grad(worth.sum(), here)
            adam.step(z, -torch.where(slope.isfinite().all(dim=1, keepdim=True), slope, 0.0).to(z))
            path.append(z.clone())
        return path

    def _training_rows(self, count: int) -> Tensor:
        if self._chances is None:
            return torch.randint(self.workload.train_size, (count,), generator=self.generator)
        return torch.multinomial(self._chances, count, replacement=True, generator=self.generator)


def _finite(outputs: Tensor) -> Tensor:
    """Outputs as profiles take them: far out a model may overflow, and only the metric can say what that is worth."""
    found = outputs.float().cpu()
    return found if bool(found.isfinite().all()) else found.nan_to_num(0.0, posinf=_FAR, neginf=-_FAR)


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """Outputs of several populations as one: of records a row may have more with one phi than with another."""
    if len({part.shape[1:] for part in parts}) == 1:
        return torch.cat(list(parts))
    most = max(part.shape[2] for part in parts)
    return torch.cat([torch.nn.functional.pad(part, (0, 0, 0, most - part.shape[2])) for part in parts])


def _some(slices: Tensor | None, index: Tensor) -> Tensor | None:
    return None if slices is None else slices[index]


def _evenly(rows: int, count: int) -> Tensor:
    return torch.linspace(0, rows - 1, count).long()


def _chances(search: Any, train: Any, size: int) -> Tensor | None:
    """With which chance each training row is drawn, so that classes are as frequent as in the search split.

    None where targets are no single class of few: then all rows alike.
    """
    if not (isinstance(search, Tensor) and isinstance(train, Tensor)) or len(train) != size:
        return None
    theirs, ours = search.reshape(len(search), -1).cpu(), train.reshape(len(train), -1).cpu()
    if theirs.shape[1] != 1 or ours.shape[1] != 1 or bool((ours != ours.round()).any() | (ours < 0).any()):
        return None
    classes = int(max(theirs.max(), ours.max())) + 1
    if classes > max(len(ours) // 10, 2):
        return None
    wanted = torch.bincount(theirs[:, 0].long(), minlength=classes).double()
    there = torch.bincount(ours[:, 0].long(), minlength=classes).double()
    chances = (wanted / there.clamp_min(1))[ours[:, 0].long()]
    return chances if math.isfinite(float(chances.sum())) and float(chances.sum()) > 0 else None
