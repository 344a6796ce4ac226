"""Models that cannot be traced: what their modules in front of phi give is kept, and they are not run again."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metricopt._errors import AdapterError
from metricopt.adapters import AdaptedModel, Film, InputBias, attach
from metricopt.adapters.replay import Recorder


class Block(nn.Module):
    """Counts how often it runs."""

    def __init__(self, width: int, act: nn.Module | None = None) -> None:
        super().__init__()
        self.layer, self.act, self.runs = nn.Linear(width, width), act or nn.Tanh(), 0

    def forward(self, x: Tensor) -> Tensor:
        self.runs += 1
        return x + self.act(self.layer(x))


class Untraceable(nn.Module):
    """Looks at values on its way; `skip` reads the first block once more at the end."""

    def __init__(self, *, shared: bool = False, skip: bool = False) -> None:
        super().__init__()
        act = nn.Tanh() if shared else None
        self.first, self.blocks = nn.Linear(5, 6), nn.ModuleList([Block(6, act) for _ in range(5)])
        self.act, self.norm, self.last, self.skip = act or nn.ReLU(), nn.LayerNorm(6), nn.Linear(6, 3), skip

    def forward(self, x: Tensor) -> Tensor:
        if float(x.sum()) > 1e9:  # nobody knows why
            x = x / 2
        x = self.act(self.first(x))
        early = x
        for block in self.blocks:
            x = block(x)
            early = x if block is self.blocks[0] else early
        x = self.norm(x)
        return self.last(self.act(x + early) if self.skip else x)


PROBE = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))


def adapted(model: nn.Module, where: Any = "blocks.4.layer", adapter: Any = None) -> AdaptedModel:
    torch.manual_seed(1)
    return attach(model.eval(), adapter or Film(), where=where, probe=PROBE)


def agree(found: AdaptedModel, rows: Tensor) -> None:
    """The features and what lies behind them give what the whole model gives, and the same gradients."""
    phis = 0.3 * torch.randn(3, found.spec.dim, generator=torch.Generator().manual_seed(2))
    whole = []
    for phi in phis:
        with found.at(phi) as model:
            whole.append(model(rows))
    with torch.no_grad():
        features = found.head(rows)
    torch.testing.assert_close(found.outputs(phis, features), torch.stack(whole))
    point = phis[0].clone().requires_grad_()
    (slope,) = torch.autograd.grad(found.tail(point, features).square().sum(), point)
    with found.at(point) as model:
        (wanted,) = torch.autograd.grad(model(rows).square().sum(), point)
    torch.testing.assert_close(slope, wanted)
    assert bool((wanted != 0).any())


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("skip", [False, True])
def test_what_lies_in_front_runs_once(shared: bool, skip: bool) -> None:
    model = Untraceable(shared=shared, skip=skip)
    found = adapted(model)
    assert found.splits
    rows = torch.randn(11, 5)
    agree(found, rows)
    features = found.head(rows)
    before = [block.runs for block in model.blocks]
    found.outputs(torch.zeros(4, found.spec.dim), features)
    after = [block.runs for block in model.blocks]
    assert before[:4] == after[:4] and after[4] > before[4]
    _, kept = features
    assert len(kept) == (2 if skip else 1), "what nobody reads is kept, or what is read is not"
    assert all("forward" not in vars(module) for module in model.modules())


def test_recording_ends_where_all_is_there() -> None:
    model = Untraceable()
    found = adapted(model)
    before = model.blocks[4].runs
    found.head(PROBE)
    assert model.blocks[4].runs == before


@pytest.mark.parametrize(("where", "adapter"), [("norm", None), ("last", None), ("first", InputBias(dim=4))])
def test_wherever_phi_enters_the_numbers_are_the_same(where: str, adapter: Any) -> None:
    model = Untraceable(skip=True)
    found = attach(model.eval(), adapter or Film(), where=where, probe=PROBE)
    assert found.splits == (where != "first"), "in front of the first layer there is nothing to keep"
    agree(found, torch.randn(4, 5))


def test_copies_play_back_their_own_weights() -> None:
    found = adapted(Untraceable())
    twin = copy.deepcopy(found)
    with torch.no_grad():
        for parameter in twin.model.parameters():
            parameter.add_(0.1)
    agree(twin, torch.randn(5, 5))
    agree(found, torch.randn(5, 5))
    phi = 0.2 * torch.ones(found.spec.dim)
    with found.at(phi) as model:
        torch.testing.assert_close(found.merged(phi)(PROBE), model(PROBE))
    assert type(found.detach()) is Untraceable


def test_hooks_of_the_user_act_as_always() -> None:
    model = Untraceable()
    model.blocks[1].register_forward_hook(lambda module, args, output: 2 * output)
    model.blocks[3].register_forward_hook(lambda module, args, output: output + 1)
    agree(adapted(model), torch.randn(5, 5))


class Fussy(Untraceable):
    """Chooses its way by what it sees: not as on the probe where all inputs are negative."""

    def forward(self, x: Tensor) -> Tensor:
        if bool((x < 0).all()):
            return self.last(self.norm(self.first(x)))
        return super().forward(x)


def test_another_way_through_the_model_is_told() -> None:
    found = adapted(Fussy())
    agree(found, torch.randn(5, 5))
    with pytest.raises(AdapterError, match="calls its modules in another order than on the probe batch"):
        found.head(-torch.ones(3, 5))


class OfABatch(Untraceable):
    """Takes no single row."""

    def forward(self, x: Tensor) -> Tensor:
        if len(x) < 2:
            raise ValueError("give me more")
        return super().forward(x)


def test_what_cannot_be_kept_runs_whole() -> None:
    whole = adapted(OfABatch())
    assert not whole.splits
    with whole.at(whole.phi) as model:
        torch.testing.assert_close(whole.tail(whole.phi, whole.head(PROBE)), model(PROBE))
    single = attach(Untraceable().eval(), Film(), where="norm", probe=PROBE[:1])
    assert not single.splits, "one row cannot tell what has the rows first"


class Finder(Untraceable):
    """Gives records."""

    def forward(self, x: Any) -> Any:
        rows = super().forward(torch.stack(x) if isinstance(x, list) else x).sigmoid()
        return [{"boxes": row.repeat(2, 1)[:, [0, 0, 1, 1]], "scores": row[:2]} for row in rows]


def test_records_are_found_behind_what_is_kept_and_lists_are_left_alone() -> None:
    found = adapted(Finder())
    assert found.splits and isinstance(found._program.prefix[0].run, Recorder)
    phi, rows = 0.3 * torch.ones(found.spec.dim), torch.randn(6, 5)
    with found.at(phi) as model:
        wanted = model(rows)
    for one, other in zip(found.tail(phi, found.head(rows)), wanted, strict=True):
        torch.testing.assert_close(one, other)
    assert not attach(Finder().eval(), Film(), where="norm", probe=list(PROBE)).splits


@pytest.mark.parametrize("kind", ["Bert", "DistilBert", "GPT2"])
def test_blocks_of_transformers_run_once(kind: str) -> None:
    transformers = pytest.importorskip("transformers")
    sizes = {
        "Bert": {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32},
        "DistilBert": {"dim": 16, "n_layers": 4, "n_heads": 2, "hidden_dim": 32},
        "GPT2": {"n_embd": 16, "n_layer": 4, "n_head": 2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1},
    }
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(vocab_size=50, **sizes[kind])
    model = getattr(transformers, f"{kind}ForSequenceClassification")(config).eval()

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            found: Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
            return found

    def rows(count: int, length: int) -> dict[str, Tensor]:
        mask = torch.ones(count, length, dtype=torch.long)
        mask[:, length - 2 :] = 0
        return {"input_ids": torch.randint(2, 50, (count, length)), "attention_mask": mask}

    last = next(name for name, one in reversed(list(model.named_modules())) if isinstance(one, nn.LayerNorm))
    found = attach(Logits().eval(), Film(), where=f"model.{last}", probe=rows(6, 7))
    phis = 0.2 * torch.randn(2, found.spec.dim)
    for count, length in ((6, 7), (3, 9), (9, 5)):  # other lengths than on the probe
        batch = rows(count, length)
        features = found.head(batch)
        # Four tensors at most, where all that the blocks give would be sixteen and more.
        assert sum(tensor.numel() for tensor in features[1]) <= 4 * count * length * 16
        with torch.no_grad():
            given = found.outputs(phis, features)
            for phi, one in zip(phis, given, strict=True):
                with found.at(phi) as whole:
                    torch.testing.assert_close(one, whole(**batch))
