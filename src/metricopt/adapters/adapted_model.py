"""A frozen model with one small vector phi in it."""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from operator import itemgetter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.hooks import RemovableHandle

from .._checks import at_least
from .._errors import AdapterError, ConfigError
from .._phi import PhiSpec
from .._vmap_or_loop import VmapOrLoop
from .adapter import Call
from .fold import replace_in_place
from .kernels import differentiable_recurrence, is_transformed, may_attend, recurs, transformable_attention
from .layout import Layout
from .population import automatic_chunk, call_population, in_one_batch, joined, rides
from .probe import Inputs, cloned, invoke
from .program import INPUT, Group, Program, Ref, Step, chain, enters, is_raw, resolve, split
from .replay import recorded
from .tracing import input_values, same_outputs, traced


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
        #: Whether an output is a list with a record an example, as those of detectors; `attach` finds it out.
        self.gives_records = False
        self._may_attend, self._recurs = may_attend(model), recurs(model)
        self._each = VmapOrLoop()
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
        self._groups = groups
        # Adapted modules with hooks of their own are not taken apart: a hook may want what the adapter gives.
        self._own_hooks = not any(module._forward_hooks or module._forward_pre_hooks for module in groups)
        steps = chain(model, groups)
        self._chain = split(steps, Ref(steps[-1].name), groups, own_hooks=self._own_hooks)
        self._traced: Program | None = None
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

        That is everything in front of the first adapted module, and the raw output of that module itself where the
        adapter needs no more: along nested Sequentials, and in models with a `forward` of their own where it can be
        traced or recorded. One value, or a tuple where several cross over; every tensor in it has the rows first.
        """
        program = self._program
        values = input_values(inputs)
        if program.prefix:
            with self._using(off=True):
                for step in program.prefix:
                    values[step.name] = _called(step, values)
        crossing = tuple(values[name] for name in program.crossing)
        return crossing[0] if len(crossing) == 1 else crossing

    def tail(self, phi: Tensor, features: Any) -> Any:
        """The outputs at `phi` of shape `(d,)`; a pure function, for `torch.func.grad` and `vmap` in eval mode."""
        self.spec.check(phi)
        program, values = self._program, self._entering(features)
        with self._kernels(is_transformed(phi)):
            for step in program.rest:
                with self._using(phi, off=is_raw(step)):
                    values[step.name] = self._step(step, phi, values)
        return resolve(program.output, values.__getitem__)

    @contextmanager
    def at(self, phi: Tensor) -> Iterator[nn.Module]:
        """The model itself, seeing `phi` instead of the parameter while inside; differentiable in `phi`.

        For what needs more than `tail`: losses in training mode, models that take their targets.
        """
        self.spec.check(phi)
        with self._kernels(is_transformed(phi)), self._using(phi):
            yield self.model

    @property
    def splits(self) -> bool:
        """Whether anything lies in front of phi, so that features are worth keeping."""
        return bool(self._program.prefix)

    @property
    def _program(self) -> Program:
        """What was traced holds in eval mode only: code may ask for the mode."""
        return self._chain if self._traced is None or self.training else self._traced

    def _trace(self, probe: Inputs) -> None:
        """Look into a model that is more than a chain; called once, by `attach`, in eval mode."""
        containers = (s for s in self._chain.rest if s.kind == "module" and list(s.run.children()))
        if not any(enters(step, self._groups) for step in containers):
            return
        for look in (self._read_off, self._recorded):
            program = look(probe)
            if program is None or len(program.prefix) <= len(self._chain.prefix):
                continue
            self._traced = program
            with torch.no_grad():
                phi = torch.full_like(self.phi, 0.01)
                try:
                    if self._agrees(phi, probe):
                        return
                except (RuntimeError, TypeError, ValueError, AdapterError):
                    pass
            self._traced = None

    def _recorded(self, probe: Inputs) -> Program | None:
        if not self._own_hooks or self._chain.prefix:  # what a chain keeps is as much
            return None
        with self._using(off=True):
            return recorded(self.model, self._groups, probe)

    def _read_off(self, probe: Inputs) -> Program | None:
        found = traced(self.model, self._groups, probe)
        if found is None:
            return None
        steps, output = found
        root = self._groups.get(self.model, ())
        if root:
            if any(binding.adapter.reads_input for binding in root) or not isinstance(output, Ref):
                return None
            steps = [*steps, Step(name="adapted output", kind="adapt", run=root, args=(output,))]
            output = Ref("adapted output")
        inside = {module: group for module, group in self._groups.items() if module is not self.model}
        return split(steps, output, inside, own_hooks=self._own_hooks)

    def _agrees(self, phi: Tensor, probe: Inputs) -> bool:
        def whole(inputs: Inputs) -> Any:
            with self._using(phi):
                return invoke(self.model, inputs)

        if not same_outputs(whole, lambda inputs: self.tail(phi, self.head(inputs)), probe):
            return False
        self.gives_records = isinstance(whole(cloned(probe)), list)
        both = torch.stack([phi, torch.zeros_like(phi)])

        def first(inputs: Inputs) -> Any:
            found = self.outputs(both, self.head(inputs))
            return found[0] if self.gives_records else tree_map_only(Tensor, itemgetter(0), found)

        return same_outputs(whole, first, probe)

    def _entering(self, features: Any) -> dict[str, Any]:
        names = self._program.crossing
        values = cloned(features) if self._clone_features else features
        if names == (INPUT,):
            return input_values(values)
        return dict(zip(names, (values,) if len(names) == 1 else values, strict=True))

    def outputs(self, phis: Tensor, features: Any, *, chunk: int | None = None) -> Any:
        """`tail` for a population on shared features: `(n, d)` to outputs `(n, B, ...)`, differentiable in `phis`.

        Row i depends on `phis[i]` alone, so the gradient of a sum of n losses holds n gradients:
        much cheaper than `vmap(grad(tail))`. Dropout in train mode draws anew for each phi. The phis run one by one
        through what `vmap` cannot map: recurrent layers, code that looks at values, and under autocast, which it does
        not see, every step that the population cannot ride through in one batch. Records, of which each phi may give
        others, are a list with an entry a phi.

        Args:
            phis: `(n, d)`, n at least 1.
            features: from `head`.
            chunk: how many phis at once, to bound memory; by default what a cache holds.

        Raises:
            AdapterError: a batch norm is in train mode, where each phi would move its statistics.
        """
        self._check_population(phis)
        if self.gives_records:
            return [self.tail(phi, features) for phi in phis]
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
        return automatic_chunk(features, copies) if chunk is None else chunk

    def _tails(self, phis: Tensor, features: Any, *, shared: bool) -> Any:
        """`tail` for several phis at once: the population rides in the batch where a module allows it."""
        if len(phis) == 1:
            single = features if shared else tree_map_only(Tensor, itemgetter(0), features)
            return tree_map_only(Tensor, itemgetter(None), self.tail(phis[0], single))
        program, values = self._program, self._entering(features)
        mapped = set() if shared else set(values)
        with self._kernels(True):
            for step in program.rest:
                values[step.name] = self._population_step(step, phis, values, mapped)
        return resolve(program.output, values.__getitem__)

    def _population_step(self, step: Step, phis: Tensor, values: Mapping[str, Any], mapped: set[str]) -> Any:
        """One step for all phis; its name joins `mapped` where the phis have values of their own."""
        reads = sorted(step.reads)
        theirs = [name for name in reads if name in mapped]
        if step.kind == "shape":  # the same for each phi
            one = {
                name: tree_map_only(Tensor, itemgetter(0), values[name]) if name in mapped else values[name]
                for name in reads
            }
            return _called(step, one)
        phi_enters = enters(step, self._groups)
        if not theirs and not phi_enters:
            with self._using(off=is_raw(step)):
                return _called(step, values)
        mapped.add(step.name)
        if not phi_enters and theirs == reads and len(step.args) == 1 and not step.kwargs and step.kind == "module":
            with self._using(off=True):
                return call_population(
                    step.run, values[theirs[0]], partial(self._each, step.name), ignored=_adapt_output
                )
        if not phi_enters and step.kind == "module" and theirs == reads and rides(step.run, [values[n] for n in reads]):
            with self._using(off=True):
                return in_one_batch(partial(_called, step), {name: values[name] for name in reads})
        if step.run is operator.getitem and not isinstance(values[reads[0]], Tensor):  # a part of a tuple
            return _called(step, values)
        if not phi_enters and step.run in _ELEMENTWISE and all(isinstance(values[name], Tensor) for name in reads):
            shapes = {values[name].shape for name in reads}
            if theirs == reads and len(shapes) == 1:
                return _called(step, values)

        def run(phi: Tensor, *given: Any) -> Any:
            with self._using(phi, off=is_raw(step)):
                return self._step(step, phi, dict(zip(reads, given, strict=True)))

        dims = (0, *(0 if name in mapped else None for name in reads))
        return self._each(step.name, run, phis, *(values[name] for name in reads), in_dims=dims)

    @contextmanager
    def _kernels(self, transformed: bool) -> Iterator[None]:
        """Kernels that have what is asked of them: rules for `vmap`, gradients in eval mode."""
        attention = transformable_attention(self.phi.device) if transformed and self._may_attend else nullcontext()
        with attention, differentiable_recurrence(self.phi.device) if self._recurs else nullcontext():
            yield

    def _step(self, step: Step, phi: Tensor, values: Mapping[str, Any]) -> Any:
        if step.kind != "adapt":
            return _called(step, values)
        output, *args = resolve(step.args, values.__getitem__)
        kwargs = resolve(dict(step.kwargs), values.__getitem__)
        if step.args[1:] == (Ref(INPUT),):  # the model's own inputs, however they were passed
            args, kwargs = _as_arguments(values[INPUT])
        return self._apply_group(step.run, phi, Call(output=output, args=tuple(args), kwargs=kwargs))

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


def _called(step: Step, values: Mapping[str, Any]) -> Any:
    """A step without phi. The whole model, or the first module of a chain, is called as its inputs want it."""
    if step.args == (Ref(INPUT),) and step.kind == "module":
        return invoke(step.run, values[INPUT])
    args, kwargs = resolve((step.args, dict(step.kwargs)), values.__getitem__)
    return step.run(*args, **kwargs)


def _as_arguments(inputs: Inputs) -> tuple[list[Any], dict[str, Any]]:
    if isinstance(inputs, Mapping):
        return [], dict(inputs)
    return (list(inputs), {}) if isinstance(inputs, tuple) else ([inputs], {})


#: These take a population as they take a batch: number by number.
_ELEMENTWISE: frozenset[Any] = frozenset(
    {F.relu, F.gelu, F.silu, F.leaky_relu, F.elu, torch.relu, torch.tanh, torch.sigmoid, torch.add, torch.mul}
    | {operator.add, operator.mul, operator.sub, operator.iadd}
)


def is_adapted(module: nn.Module) -> bool:
    """Whether adapters are hooked into `module`."""
    return any(getattr(hook, "func", None) is _adapt_output for hook in module._forward_hooks.values())
