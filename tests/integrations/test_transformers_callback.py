"""A real, tiny training with the transformers `Trainer`, improved for F1. Nothing is downloaded."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

from metricopt import LoRA, get_metric
from metricopt._errors import AdapterError, ConfigError, DataError
from metricopt.integrations.transformers import MetricOptCallback
from metricopt.metrics import Metric

Row = dict[str, Any]


@cache
def rows(count: int, seed: int) -> list[Row]:
    """Texts of three to nine words. A third of them hold one of five words, and half of these belong to the rare
    class: a trained model says so of few, a shifted threshold of all."""
    source = torch.Generator().manual_seed(seed)
    made = []
    for _ in range(count):
        length = int(torch.randint(3, 10, (1,), generator=source))
        words = torch.randint(1, 40, (length,), generator=source)
        luck = float(torch.rand(1, generator=source))
        rare = luck < (0.45 if bool((words < 4).any()) else 0.03)
        made.append({"input_ids": words.tolist(), "label": int(rare), "text": "not for the model"})
    return made


def padded(batch: list[Row]) -> dict[str, Tensor]:
    width = max(len(row["input_ids"]) for row in batch)
    ids = torch.tensor([row["input_ids"] + [0] * (width - len(row["input_ids"])) for row in batch])
    labels = torch.tensor([row["label"] for row in batch])
    return {"input_ids": ids, "attention_mask": (ids != 0).long(), "labels": labels}


#: Moves with the smallest change of a score.
LOG_LOSS = Metric(
    lambda scores, targets: float(nn.functional.cross_entropy(scores, targets)),
    name="log_loss",
    higher_is_better=False,
    bounds=(0.0, 50.0),
)

#: Model type -> what its configuration calls the sizes, where that is not what BERT calls them.
SIZES: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {},
    "distilbert": {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 16},
    "gpt2": {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 32},
    "llama": {"num_key_value_heads": 2},
}


def make(kind: str = "bert", **changes: Any) -> Any:
    sizes = {
        "vocab_size": 40,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": 32,
        "pad_token_id": 0,
        "num_labels": 2,
        "initializer_range": 0.1,
        "hidden_dropout_prob": 0.0,
    }
    config = transformers.AutoConfig.for_model(kind, **(sizes | SIZES[kind] | changes))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return transformers.AutoModelForSequenceClassification.from_config(config)


def train(
    model: Any,
    *callbacks: Any,
    folder: Path,
    epochs: int = 3,
    ready: Callable[[Any], None] | None = None,
    **changes: Any,
) -> Any:
    settings = {
        "output_dir": str(folder),
        "use_cpu": True,
        "report_to": [],
        "disable_tqdm": True,
        "save_strategy": "no",
        "logging_strategy": "epoch",
        "num_train_epochs": epochs,
        "per_device_train_batch_size": 16,
        "per_device_eval_batch_size": 64,
        "learning_rate": 5e-3,
        "seed": 3,
        "dataloader_pin_memory": False,
    }
    with torch.random.fork_rng():
        trainer = transformers.Trainer(
            model,
            transformers.TrainingArguments(**(settings | changes)),
            data_collator=padded,
            train_dataset=rows(640, 1),
            eval_dataset=rows(200, 2),
            callbacks=list(callbacks),
        )
        if ready is not None:
            ready(trainer)
        trainer.train()
    return trainer


def end(**changes: Any) -> MetricOptCallback:
    return MetricOptCallback(**({"metric": "f1", "val": rows(1500, 4), "budget": 100, "method": "threshold"} | changes))


def state(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def changed(model: nn.Module, before: Mapping[str, Tensor]) -> list[str]:
    return [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]


def f1(trainer: Any) -> float:
    scores, targets, _ = trainer.predict(rows(1500, 8))
    return get_metric("f1")(torch.as_tensor(scores), torch.as_tensor(targets))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same training without a callback."""
    return train(make(), folder=tmp_path_factory.mktemp("plain"))


def test_at_the_end_the_model_itself_has_the_improved_head(plain: Any, tmp_path: Path) -> None:
    callback = end()
    trainer = train(make(), callback, folder=tmp_path)
    outcome = callback.outcome
    assert outcome is not None and outcome.accepted
    assert set(changed(trainer.model, plain.model.state_dict())) <= {"classifier.weight", "classifier.bias"}
    assert torch.equal(trainer.model.classifier.bias, outcome.model.bias)
    assert f1(trainer) > f1(plain) + 0.02
    logged = trainer.state.log_history[-1]
    assert logged["metricopt/after"] == outcome.after > logged["metricopt/before"] == outcome.before
    trainer.save_model(str(tmp_path / "saved"))
    again = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved")
    assert changed(again, trainer.model.state_dict()) == []


def test_what_is_not_accepted_leaves_no_trace(plain: Any, tmp_path: Path) -> None:
    noise = [row | {"label": int(i * 2654435761 % 97 < 48)} for i, row in enumerate(rows(300, 4))]
    callback = end(metric="accuracy", val=noise)
    trainer = train(make(), callback, folder=tmp_path)
    assert callback.outcome is not None and not callback.outcome.accepted
    assert changed(trainer.model, plain.model.state_dict()) == []


def test_between_epochs_it_is_a_sign_and_the_training_goes_on(plain: Any, tmp_path: Path) -> None:
    callback = end(when="epoch")
    trainer = train(make(), callback, folder=tmp_path)
    assert changed(trainer.model, plain.model.state_dict()) == []
    told = [row for row in trainer.state.log_history if "metricopt/after" in row]
    assert [row["epoch"] for row in told] == [1.0, 2.0, 3.0]
    assert told[0]["metricopt/after"] != told[2]["metricopt/after"]
    assert callback.outcome is not None and told[2]["metricopt/after"] == callback.outcome.after


def test_between_epochs_it_may_go_into_the_model_and_into_its_checkpoints(plain: Any, tmp_path: Path) -> None:
    callback = end(when="epoch", every=3, fold=True)
    trainer = train(make(), callback, folder=tmp_path, save_strategy="epoch")
    assert callback.outcome is not None and callback.outcome.accepted
    assert changed(trainer.model, plain.model.state_dict()) != []
    last = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "checkpoint-120")
    assert changed(last, trainer.model.state_dict()) == []


def test_the_log_of_the_trainer_reaches_its_other_callbacks(tmp_path: Path) -> None:
    heard: list[Mapping[str, float]] = []

    class Listen(transformers.TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **known: Any) -> None:
            heard.append(dict(logs))

    callback = end()

    def joined(trainer: Any) -> None:
        callback.log = trainer.log

    trainer = train(make(), callback, Listen(), folder=tmp_path, epochs=1, ready=joined)
    assert callback.outcome is not None
    assert heard[-1]["metricopt/after"] == callback.outcome.after
    assert [row for row in trainer.state.log_history if "metricopt/after" in row] == [{**heard[-1], "step": 40}]


@pytest.mark.parametrize(
    ("kind", "head", "adapters"),
    [
        ("roberta", "classifier.out_proj", "auto"),
        ("distilbert", "classifier", "auto"),
        ("gpt2", "score", LoRA(rank=4)),
        ("llama", "score", LoRA(rank=4)),
    ],
)
def test_the_head_is_found(kind: str, head: str, adapters: Any, tmp_path: Path) -> None:
    model = make(kind)
    before = state(model)
    few = {"acceptance": None, "val": rows(150, 4), "train": rows(70, 1), "method": "random_search", "budget": 20}
    callback = end(metric=LOG_LOSS, adapters=adapters, **few)
    trainer = train(model, callback, folder=tmp_path, max_steps=1, learning_rate=0.0)
    assert callback.outcome is not None and callback.outcome.accepted
    assert {name.rpartition(".")[0] for name in changed(model, before)} == {head}
    # The model's own scores are those that the search found on features.
    scores, targets, _ = trainer.predict(rows(150, 4))
    found = LOG_LOSS(torch.as_tensor(scores), torch.as_tensor(targets))
    assert found == pytest.approx(callback.outcome.after, rel=1e-5) != pytest.approx(callback.outcome.before, rel=1e-5)


def test_a_head_without_bias_gets_none(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"has the weights \['bias'\], which the model in training lacks.*LoRA"):
        train(make("gpt2"), end(), folder=tmp_path)


class Scaled(nn.Module):
    """A classifier whose logits are not the output of any of its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.EmbeddingBag(40, 8)
        self.last = nn.Linear(8, 2)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        logits = 2 * self.last(self.embed(input_ids))
        output = transformers.modeling_outputs.SequenceClassifierOutput(logits=logits)
        if labels is not None:
            output["loss"] = nn.functional.cross_entropy(logits, labels)
        return output


@pytest.mark.parametrize(
    ("model", "changes", "error", "message"),
    [
        (Scaled(), {}, AdapterError, "found no module of Scaled that turns one row of features an example"),
        (None, {"head": "head"}, AdapterError, "has no module 'head'; it holds: bert, dropout, classifier"),
        (
            None,
            {"head": "bert.pooler"},
            AdapterError,
            r"'bert.pooler' \(BertPooler\) is no head: .* it ran \(8, \d, 16\)",
        ),
        (None, {"labels": "classes"}, DataError, "no labels under 'classes'; it holds input_ids"),
        (None, {"val": iter(rows(30, 4))}, DataError, "dataset with a length, at least 1, got a list_iterator"),
    ],
)
def test_what_cannot_work_is_refused_before_the_training(
    model: Any, changes: Any, error: Any, message: str, tmp_path: Path
) -> None:
    model = make() if model is None else copy.deepcopy(model)
    before = state(model)
    with pytest.raises(error, match=message):
        train(model, end(**changes), folder=tmp_path)
    assert changed(model, before) == []


def test_a_metric_of_the_whole_model_is_refused() -> None:
    size = Metric(lambda model: 0.5, name="size", higher_is_better=True, reads="model")
    for given in ({"metric": size}, {"metric": len, "reads": "model", "higher_is_better": True}):
        with pytest.raises(ConfigError, match="reads the whole model, but only its head"):
            end(**given)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"world_size": 4, "deepspeed": None, "fsdp": []}, r"uses 4 process\(es\); train without"),
        ({"world_size": 1, "deepspeed": {"stage": 3}, "fsdp": []}, r"1 process\(es\) with deepspeed"),
    ],
)
def test_training_in_several_processes_is_refused(args: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        end().on_train_begin(SimpleNamespace(**args), None, None)
