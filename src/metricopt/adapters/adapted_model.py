"""A frozen model with one small vector phi in it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.hooks import RemovableHandle

from .._checks import at_least
from .._each import Each
from .._errors import AdapterError, ConfigError
from .._phi import PhiSpec
from .adapter import Call
from .attention import is_transformed, may_attend, transformable_attention
from .fold import replace_in_place
from .layout import Layout
from .population import automatic_chunk, call_population, joined
from .probe import Inputs, cloned, invoke
from .recurrence import differentiable_recurrence, recurs
from .spine import Group, Step, split


class _Active:
    """The phi that hooks read instead of the parameter, for the time of one `tail`; or no phi at all."""

    def __init__(self) -> None:
        self.phi: Tensor | None = None
        self.off = False


class AdaptedModel(nn.Module):
    """`model` with adapters hooked into it. Made by `attach`.

    The model's modules, weights and state-dict keys are untouched. Its parameters do not require
    gradients while the adapters are attached. Called on its own, the model still sees `phi`: the
    hooks are in it. Do not exchange modules of the model while it is attached.

    The state dict holds `phi`, the frozen projections, the fingerprint of the layout and the model's
    own entries under `model.`; loading one of another layout raises `FingerprintMismatch`.
    """

    phi: nn.Parameter
    fingerprint: Tensor

    def __init__(self, model: nn.Module, layout: Layout, constants: Mapping[str, Tensor], *, phi: Tensor) -> None:
        super().__init__()
        self.training = model.training
        self.model = model
        self.phi = nn.Parameter(phi)
        for name, tensor in constants.items():
            self.register_buffer(name, tensor.to(phi))
        self.register_buffer(
            "fingerprint", torch.tensor(list(bytes.fromhex(layout.spec.fingerprint)), dtype=torch.uint8)
        )
        self._layout = layout
        self._active = _Active()
        self._clone_features = False
        self._may_attend, self._recurs = may_attend(model), recurs(model)
        self._each = Each()
        self._requires_grad = {name: p.requires_grad for name, p in model.named_parameters()}
        self._statistics = {
            name: buffer.detach().clone()
            for path, module in model.named_modules()
            if isinstance(module, _NormBase)
            for name, buffer in module.named_buffers(prefix=path, recurse=False)
        }
        groups: dict[nn.Module, Group] = {}
        for binding in layout.bindings:
            groups[binding.site.module] = (*groups.get(binding.site.module, ()), binding)
        self._spine = split(model, groups)
        self._dependent = {step for step in self._spine.rest if _depends(step, groups)}
        self._handles: list[RemovableHandle] = []
        model.requires_grad_(False)
        for module, group in groups.items():
            # A partial of a bound argument, not a closure: a deepcopy then follows its own phi.
            hook = partial(_adapt_output, self, group)
            self._handles.append(module.register_forward_hook(hook, with_kwargs=True))

    @property
    def spec(self) -> PhiSpec:
        """The layout of phi. Slots are named `<site>.<kind>.<parameter>`, without `<site>.` at the root."""
        return self._layout.spec

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The model's outputs at `self.phi`."""
        return self.model(*args, **kwargs)

    def head(self, inputs: Inputs) -> Any:
        """Features: all that can be computed without phi; the inputs themselves where nothing can.

        Along nested Sequentials that is everything in front of the first adapted module, and the raw
        output of that module itself where the adapter needs no more.
        """
        if not self._spine.prefix:
            return inputs
        first, *others = self._spine.prefix
        with self._using(off=True):
            features = invoke(first, inputs)
            for module in others:
                features = module(features)
        return features

    def tail(self, phi: Tensor, features: Any) -> Any:
        """The outputs at `phi` of shape `(d,)`; a pure function, for `torch.func.grad` and `vmap` in eval mode."""
        self.spec.check(phi)
        value = cloned(features) if self._clone_features else features
        with self._kernels(is_transformed(phi)), self._using(phi):
            for position, step in enumerate(self._spine.rest):
                value = self._step(step, position == 0 and not self._spine.prefix, phi, value)
        return value

    def outputs(self, phis: Tensor, features: Any, *, chunk: int | None = None) -> Any:
        """`tail` for a population on shared features: `(n, d)` to outputs `(n, B, ...)`, differentiable in `phis`.

        Row i depends on `phis[i]` alone, so the gradient of a sum of n losses holds n gradients:
        much cheaper than `vmap(grad(tail))`. Dropout in train mode draws anew for each phi. Under
        autocast the phis run one by one, because `vmap` does not see it, and so they do where `vmap` cannot map
        the model: recurrent layers, code that looks at values.

        Args:
            phis: `(n, d)`, n at least 1.
            features: from `head`.
            chunk: how many phis at once, to bound memory; by default what a cache holds.

        Raises:
            AdapterError: a batch norm is in train mode, where each phi would move its statistics.
        """
        self._check_population(phis)
        size = self._chunk(features, 1, chunk)
        return joined([self._tails(block, features, shared=True) for block in torch.split(phis, size)])

    def outputs_each(self, phis: Tensor, features: Any, *, chunk: int | None = None) -> Any:
        """`outputs` where each phi has features of its own: every tensor in them is `(n, B, ...)`."""
        self._check_population(phis)
        count = len(phis)
        short = next(
            (t for t in tree_leaves(features) if isinstance(t, Tensor) and t.shape[:1] != phis.shape[:1]), None
        )
        if short is not None:
            raise ConfigError(f"features need a leading axis of {count}, one entry per phi; got {tuple(short.shape)}")
        size = self._chunk(features, count, chunk)
        starts = range(0, count, size)
        blocks = [(phis[i : i + size], tree_map_only(Tensor, itemgetter(slice(i, i + size)), features)) for i in starts]
        return joined([self._tails(block, mine, shared=False) for block, mine in blocks])

    def _chunk(self, features: Any, copies: int, chunk: int | None) -> int:
        if chunk is not None:
            at_least("chunk", chunk, 1)
        if torch.is_autocast_enabled(self.phi.device.type):
            return 1
        return automatic_chunk(features, copies) if chunk is None else chunk

    def _tails(self, phis: Tensor, features: Any, *, shared: bool) -> Any:
        """`tail` for several phis at once: the population rides in the batch where a module allows it."""
        if len(phis) == 1:
            single = features if shared else tree_map_only(Tensor, itemgetter(0), features)
            return tree_map_only(Tensor, itemgetter(None), self.tail(phis[0], single))
        value = cloned(features) if self._clone_features else features
        with self._kernels(True):
            for position, step in enumerate(self._spine.rest):
                mapped = None if shared and position == 0 else 0
                if isinstance(step, nn.Module) and mapped == 0 and step not in self._dependent:
                    value = call_population(step, value, partial(self._each, position))
                else:
                    run = partial(self._active_step, step, position == 0 and not self._spine.prefix)
                    value = self._each(position, run, phis, value, in_dims=(0, mapped))
        return value

    @contextmanager
    def _kernels(self, transformed: bool) -> Iterator[None]:
        """Kernels that have what is asked of them: rules for `vmap`, gradients in eval mode."""
        attention = transformable_attention(self.phi.device) if transformed and self._may_attend else nullcontext()
        with attention, differentiable_recurrence(self.phi.device) if self._recurs else nullcontext():
            yield

    def _active_step(self, step: Step, is_first: bool, phi: Tensor, value: Any) -> Any:
        with self._using(phi):
            return self._step(step, is_first, phi, value)

    def _step(self, step: Step, is_first: bool, phi: Tensor, value: Any) -> Any:
        if not isinstance(step, nn.Module):
            return self._apply_group(step, phi, Call(output=value))
        return invoke(step, value) if is_first else step(value)

    def merged(self, phi: Tensor | None = None) -> nn.Module:
        """A copy of the model with `phi` (default: the current one) folded into its weights.

        The same classes and, where every bias and affine weight existed before, the same state-dict
        keys. Parameters require gradients as they did before `attach`.

        Raises:
            NotFoldable: some weights cannot hold it exactly; nothing is approximated.
        """
        self._check_attached()
        twin = copy.deepcopy(self)
        value = (self.phi if phi is None else phi).detach().to(twin.phi)
        self.spec.check(value)
        # Running statistics stay as they are now: the copy agrees with this model, not with the original.
        twin._release()
        model = twin.model
        # Inner modules finish before the modules around them, so that is the order of the hooks.
        for binding in sorted(twin._layout.bindings, key=lambda b: b.site.order):
            site = binding.site.source or binding.site
            params = twin._layout.params(binding, value, twin._buffers)
            with torch.no_grad():
                folded = binding.adapter.fold(site, params, twin._constants(binding.constants))
            replace_in_place(site.module, folded)
        return model

    def detach(self) -> nn.Module:
        """Take the adapters out and give the original model back, bit for bit.

        `requires_grad` and the running statistics of its norms are put back as they were at `attach`.
        This object is of no use afterwards.
        """
        if self._handles:
            self._release()
            buffers = dict(self.model.named_buffers())
            with torch.no_grad():
                for name, tensor in self._statistics.items():
                    buffers[name].copy_(tensor)
        return self.model

    def _release(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(self._requires_grad[name])

    def _apply_group(self, group: Group, phi: Tensor, call: Call) -> Tensor:
        for binding in group:
            params = self._layout.params(binding, phi, self._buffers)
            output = binding.adapter.apply(binding.site, params, self._constants(binding.constants), call)
            call = Call(output=output, args=call.args, kwargs=call.kwargs)
        return call.output

    def _constants(self, names: Mapping[str, str]) -> dict[str, Tensor]:
        return {short: tensor for short, name in names.items() if (tensor := self._buffers[name]) is not None}

    @contextmanager
    def _using(self, phi: Tensor | None = None, *, off: bool = False) -> Iterator[None]:
        self._check_attached()
        active = self._active
        before = active.phi, active.off
        active.phi, active.off = phi, off
        try:
            yield
        finally:
            active.phi, active.off = before

    def _check_attached(self) -> None:
        if not self._handles:
            raise AdapterError("this AdaptedModel was detached from its model; attach the adapters again")

    def _check_population(self, phis: Tensor) -> None:
        self.spec.check(phis)
        if phis.dim() != 2 or not len(phis):
            raise ConfigError(f"phis must be (n, {self.spec.dim}) with n at least 1, got {tuple(phis.shape)}")
        if self.training and any(isinstance(m, _NormBase) and m.training for m in self.modules()):
            raise AdapterError(
                "a batch norm is in train mode, where each phi would move its running statistics; "
                "call .eval() before outputs"
            )

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any) -> None:
        saved = state_dict.get(prefix + "fingerprint")
        if isinstance(saved, Tensor):
            self.spec.check_fingerprint(bytes(saved.tolist()).hex(), "the state dict")
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _adapt_output(adapted: AdaptedModel, group: Group, module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
    active = adapted._active
    if active.off:
        return None
    phi = adapted.phi if active.phi is None else active.phi
    return adapted._apply_group(group, phi, Call(output=output, args=args, kwargs=kwargs))


def _depends(step: Step, groups: Mapping[nn.Module, Group]) -> bool:
    return isinstance(step, nn.Module) and any(module in groups for module in step.modules())


def is_adapted(module: nn.Module) -> bool:
    """Whether adapters are hooked into `module`."""
    return any(getattr(hook, "func", None) is _adapt_output for hook in module._forward_hooks.values())
