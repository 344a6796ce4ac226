"""The layout of phi: split and join are inverses, names lead to slices, fingerprints guard."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metricopt._errors import ConfigError, FingerprintMismatch
from metricopt._phi import PhiSpec, Slot

shapes = st.lists(st.integers(1, 3), max_size=3).map(tuple)
specs = st.lists(shapes, min_size=1, max_size=5).map(
    lambda sizes: PhiSpec(slots=tuple(Slot(name=f"slot{i}", shape=s) for i, s in enumerate(sizes)))
)
leads = st.lists(st.integers(1, 3), max_size=2)


@given(spec=specs, lead=leads, seed=st.integers(0, 2**31))
def test_join_undoes_split(spec: PhiSpec, lead: list[int], seed: int) -> None:
    phi = torch.randn(*lead, spec.dim, generator=torch.Generator().manual_seed(seed))
    named = spec.split(phi)
    assert [tuple(named[slot.name].shape) for slot in spec.slots] == [(*lead, *slot.shape) for slot in spec.slots]
    assert torch.equal(spec.join(named), phi)


@given(spec=specs, seed=st.integers(0, 2**31))
def test_slices_are_where_split_looks(spec: PhiSpec, seed: int) -> None:
    phi = torch.randn(spec.dim, generator=torch.Generator().manual_seed(seed))
    for name, part in spec.split(phi).items():
        assert torch.equal(phi[spec.slice_of(name)], part.reshape(-1))


def test_split_lets_gradients_through() -> None:
    spec = PhiSpec(slots=(Slot(name="a", shape=(2,)), Slot(name="b", shape=(1, 2))))
    phi = torch.zeros(4, requires_grad=True)
    spec.split(phi)["b"].sum().backward()
    assert phi.grad is not None
    assert phi.grad.tolist() == [0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("slots", "words"),
    [((), "at least one slot"), ((Slot(name="a", shape=(1,)), Slot(name="a", shape=(2,))), "unique")],
)
def test_a_spec_without_a_clear_layout_is_refused(slots: tuple[Slot, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        PhiSpec(slots=slots)


def test_wrong_shapes_and_names_are_refused() -> None:
    spec = PhiSpec(slots=(Slot(name="a", shape=(2,)),))
    with pytest.raises(ConfigError, match="dimension 2, got shape"):
        spec.split(torch.zeros(3))
    with pytest.raises(ConfigError, match="dimension 2, got shape"):
        spec.split(torch.tensor(0.0))
    with pytest.raises(ConfigError, match=r"no slot 'b'.*\['a'\]"):
        spec.slice_of("b")
    with pytest.raises(ConfigError, match="exactly the slots"):
        spec.join({"b": torch.zeros(2)})
    with pytest.raises(ConfigError, match=r"has shape \(2,\), got \(3,\)"):
        spec.join({"a": torch.zeros(3)})


def test_the_fingerprint_depends_on_names_shapes_and_origin() -> None:
    base = PhiSpec(slots=(Slot(name="a", shape=(2,)),), origin="x")
    others = [
        PhiSpec(slots=(Slot(name="b", shape=(2,)),), origin="x"),
        PhiSpec(slots=(Slot(name="a", shape=(1, 2)),), origin="x"),
        PhiSpec(slots=(Slot(name="a", shape=(2,)),), origin="y"),
    ]
    assert len({spec.fingerprint for spec in (base, *others)}) == 4
    base.check_fingerprint(PhiSpec(slots=base.slots, origin="x").fingerprint, "the value function")
    with pytest.raises(FingerprintMismatch, match="the value function was made for"):
        base.check_fingerprint(others[0].fingerprint, "the value function")
