"""Models that return a mapping: which entry counts, and that the plain model comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import metricopt
from metricopt._errors import ConfigError
from metricopt._random import generator

Rows = tuple[torch.Tensor, torch.Tensor]


class Several(nn.Module):
    """Scores, and something that nobody asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 1)
        with torch.no_grad():
            self.inner.weight.copy_(torch.tensor([[2.0, 0.0, 0.0]]))
            self.inner.bias.zero_()

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"scores": self.inner(x), "hidden": x}


def _rows(count: int = 900) -> Rows:
    x = torch.randn(count, 3, generator=generator("model outputs"))
    return x, (x[:, 0] > 0.6).float()


def _optimize(model: nn.Module, **options: Any) -> metricopt.Outcome:
    x, y = _rows()
    return metricopt.optimize(
        model, metric="f1", train=(x[:300], y[:300]), val=(x[300:], y[300:]), budget=70, quiet=True, **options
    )


def test_the_entry_that_is_named_counts_and_the_model_comes_back_plain() -> None:
    model = Several()
    outcome = _optimize(model, outputs="scores")
    assert outcome.accepted and type(outcome.model) is Several
    assert set(outcome.model.state_dict()) == set(model.state_dict())
    assert outcome.model(torch.zeros(1, 3))["hidden"].shape == (1, 3)
    assert outcome.report_data.title.startswith("Several")


@pytest.mark.parametrize(
    ("outputs", "told"),
    [
        (None, r"returns a mapping with scores, hidden; say which .* outputs='scores'"),
        ("logits", "nor an entry of what the model returns, a mapping with scores, hidden"),
    ],
)
def test_what_is_not_there_is_told(outputs: str | None, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        _optimize(Several(), outputs=outputs)


def test_a_kind_that_is_misspelt_is_told() -> None:
    with pytest.raises(ConfigError, match="'binry' is neither a kind of outputs .binary"):
        _optimize(nn.Linear(3, 1), outputs="binry")


def test_scores_that_overflow_far_out_do_not_end_the_search() -> None:
    """A model without a slope to speak of has a phi that reaches to infinity."""

    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(3, 2)
            with torch.no_grad():
                self.inner.weight.mul_(1e-3)
                self.inner.bias.copy_(torch.tensor([0.1, 0.0]))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x).exp()

    x, y = _rows()
    y = y.long()
    outcome = metricopt.optimize(
        Flat(), metric="f1", train=(x[:300], y[:300]), val=(x[300:], y[300:]), budget=70, quiet=True
    )
    assert torch.isfinite(torch.tensor([outcome.before, outcome.after])).all()


@pytest.mark.filterwarnings("ignore")  # torch says that it will drop them
def test_quantised_models_are_tuned_by_their_output() -> None:
    if torch.backends.quantized.engine == "none":
        pytest.skip("this machine has no engine for quantised layers")
    x, _ = _rows()
    net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1)).eval()
    quantised = torch.ao.quantization.quantize_dynamic(net, {nn.Linear}, dtype=torch.qint8)
    outcome = _optimize(quantised, adapters=[metricopt.OutputShift()], method="threshold")
    assert outcome.model(x[:4]).shape == (4, 1)


@pytest.mark.filterwarnings("ignore")  # peft and transformers warn of each other's names
def test_a_model_that_peft_wraps_comes_back_as_one_that_peft_wraps(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=30,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=2,
        max_position_embeddings=8,
    )
    lora = peft.LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query", "value"])
    model = peft.get_peft_model(transformers.BertForSequenceClassification(config), lora).eval()
    tokens = torch.randint(4, 30, (500, 6), generator=generator("texts"))
    with torch.no_grad():
        before = model(input_ids=tokens).logits
    labels = (before[:, 1] - before[:, 0] > (before[:, 1] - before[:, 0]).median()).long()  # it only cuts wrongly
    outcome = metricopt.optimize(
        model,
        metric="f1",
        train=({"input_ids": tokens[:200]}, labels[:200]),
        val=({"input_ids": tokens[200:]}, labels[200:]),
        method="threshold",
        budget=70,
        quiet=True,
    )
    assert outcome.accepted
    assert type(outcome.model) is type(model)
    assert set(outcome.model.state_dict()) == set(model.state_dict())
    assert not torch.equal(outcome.model(input_ids=tokens).logits, before)
    assert torch.equal(model(input_ids=tokens).logits, before)  # what was given is as it was
    outcome.model.save_pretrained(tmp_path)
    assert (tmp_path / "adapter_model.safetensors").exists()
