"""What cannot run is known before it runs: every cell is tried, every fault is listed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.journals import records
from tests.specs import QUICK, toy_study, toy_tree
from trainers.errors import ConfigError, TunerError
from trainers.models.tiny import Tiny
from tuner.config import StudyConfig, parse_study, plan, read_executor
from tuner.study.checks import Findings, find_faults, inspect_cells
from tuner.study.inputs import read_inputs
from tuner.study.known_good import is_known_good, remember_good
from tuner.study.run import run_study

COMPUTE = read_executor("inprocess").open().compute


def findings(data_dir: Path | None = None, **changes: Any) -> Findings:
    """Look for the faults of the toy study with changes."""
    config = toy_study(**changes)
    data = read_inputs(config, data_dir).digests
    return find_faults(plan(config, data), data_dir or Path(), COMPUTE)


def long_rows(folder: Path, tokens: int = 609) -> dict[str, Any]:
    """Write a task with one long row, in test."""
    rows = "".join(f'"{word} text {n}",{word}\n' for n in range(6) for word in ("ham", "spam"))
    (folder / "train.csv").write_text(f"text,label\n{rows}")
    long = "word " * tokens
    (folder / "test.csv").write_text(f'text,label\n"{long}",ham\nshort,spam\n')
    return {"kind": "text_file", "name": "t", "train": "train.csv", "test": "test.csv"}


def test_a_sound_study_has_no_fault(tmp_path: Path) -> None:
    """Nothing is found, and there is nothing that was not checked."""
    assert findings(tmp_path) == Findings()


def test_rows_that_are_longer_than_the_model_are_known_before(tmp_path: Path) -> None:
    """A test row beyond the positions is a fault, unless max_length cuts it."""
    task = long_rows(tmp_path)
    train = QUICK | {"max_length": 1024}
    for model in ("tiny-bert", "tiny-roberta"):
        (text,) = findings(tmp_path, tasks=[task], models=[model], train=train).texts()
        assert text.startswith(f"train.max_length: {model} has 512 positions; got rows of ")
        assert text.endswith("allowed: at most 512")
    assert not findings(tmp_path, tasks=[task], models=["tiny-llama"], train=train).faults
    assert not findings(tmp_path, tasks=[task], train=QUICK | {"max_length": 512}).faults
    assert not findings(tmp_path, tasks=["toy"], train=train).faults  # its rows are short


def test_without_rows_max_length_is_held_against_the_positions() -> None:
    """Both ends of its range count, and the message names the range."""
    lengths = {"choice": [64, 512, 513]}
    arms = {"full": {"method": "full", "space": {"train.max_length": lengths}}}
    (text,) = findings(arms=arms).texts()
    assert text == (
        "arms.full.space.train.max_length: tiny-bert has 512 positions; got rows of up to 513 "
        "tokens, allowed: at most 512"
    )


def test_virtual_tokens_take_positions() -> None:
    """500 tokens and a prompt of 20 are more than 512; the prompt of 12 fits."""
    space = {"method.virtual_tokens": {"int": [12, 20]}}
    arms = {"prompt": {"method": "prompt", "space": space}, "full": {"method": "full"}}
    found = findings(arms=arms, train=QUICK | {"max_length": 500})
    (text,) = found.texts()
    assert text == (
        "arms.prompt.space.method.virtual_tokens: got 20; tiny-bert has 512 positions and rows of "
        "up to 500 tokens; allowed: at most 12, or a lower train.max_length"
    )
    assert [fault.cell.arm for fault in found.faults if fault.cell] == ["prompt"]


def test_a_prompt_that_leaves_no_room_is_told_with_a_bound_that_can_be_met() -> None:
    """Of several arms each is named, also where the key is the study's."""
    arms = {"full": {"method": "full"}}
    arms |= {k: {"method": {"kind": k, "virtual_tokens": 600}} for k in ("prompt", "prefix")}
    short, long = (
        findings(arms=arms, train=QUICK | {"max_length": length}).texts() for length in (11, 512)
    )
    assert [text.partition(";")[0] for text in short] == [
        "arms.prompt.method.virtual_tokens: got 600",
        "arms.prefix.method.virtual_tokens: got 600",
    ]
    assert all("allowed: at most 501," in text for text in short)
    assert long == (
        "train.max_length: tiny-bert has 512 positions; got rows of up to 512 tokens and 600 "
        "virtual tokens, allowed: at most 512 together (arms prompt, prefix)",
    )


BLOCKS = {"kind": "peft_any", "type": "C3A"}
"""The block must divide the sizes of the layers: 8, 16 and 32 do, 10, 12 and 14 do not."""


def test_each_value_of_a_small_range_of_a_method_is_tried() -> None:
    """Both ends of the range can be built, those between them cannot; all are named."""
    space = {"method.config.block_size": {"int": [8, 16], "step": 2}}
    arms = {"c3a": {"method": BLOCKS, "space": space}, "full": {"method": "full"}}
    (said,) = findings(arms=arms).texts()
    assert said.startswith("arms.c3a.space.method.config.block_size: got 10, 12, 14; ")
    good = {"method.config.block_size": {"choice": [8, 16, 32]}}
    arms = {"c3a": {"method": BLOCKS, "space": good}, "full": {"method": "full"}}
    assert findings(arms=arms) == Findings()


TARGETS = {"kind": "lora", "targets": ["q_proj", "v_proj"]}


def test_targets_that_are_not_there_are_named_with_those_that_are() -> None:
    """One line: the dotted key, what was got, the model, what it has."""
    arms = {"lora": {"method": TARGETS}, "full": {"method": "full"}}
    assert findings(arms=arms).texts() == (
        "arms.lora.method.targets: q_proj, v_proj fit no module of tiny-bert; it has query, "
        "value, dense, key, position_embeddings, token_type_embeddings, word_embeddings",
    )


def test_a_misspelt_target_beside_a_good_one_is_no_silent_loss() -> None:
    """Peft would adapt the good one alone, and the table would call it both."""
    config = {"target_modules": ["query", "valeu"]}
    arms = {
        "lora": {"method": {"kind": "lora", "targets": ["query", "valeu"]}},
        "loha": {"method": {"kind": "peft_any", "type": "LOHA", "config": config}},
    }
    texts = findings(arms=arms).texts()
    assert [text.partition(";")[0] for text in texts] == [
        "arms.lora.method.targets: valeu fits no module of tiny-bert",
        "arms.loha.method.config.target_modules: valeu fits no module of tiny-bert",
    ]


def test_one_list_of_targets_may_serve_several_models() -> None:
    """A name need fit one of the study's models; a model that none fits is at fault alone."""
    method = {"kind": "lora", "targets": ["query", "q_proj"]}
    arms = {"lora": {"method": method}}
    assert not findings(arms=arms, models=["tiny-bert", "tiny-llama"]).faults
    arms = {"lora": {"method": TARGETS}}
    found = findings(arms=arms, models=["tiny-bert", "tiny-llama"])
    assert [fault.cell.model for fault in found.faults if fault.cell] == ["tiny-bert"]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("modules_to_save", ["clasifier"], "clasifier fits no module of tiny-bert; it has classi"),
        (
            "rank_pattern",
            {"qury": 4},
            "qury fits no adapted module of tiny-bert; it has query, value",
        ),
        (
            "alpha_pattern",
            {"key": 4},
            "key fits no adapted module of tiny-bert; it has query, value",
        ),
        ("exclude_modules", ["nowhere"], "nowhere fits no adapted module of tiny-bert; it has "),
        (
            "exclude_modules",
            ["key"],
            "key fits no adapted module of tiny-bert; it has query, value",
        ),
        ("target_parameters", ["no.weight"], "no.weight fits no module of tiny-bert; it has weig"),
        ("trainable_token_indices", [3, 10**7], "got 10000000; the model's vocabulary has "),
        ("alora_invocation_tokens", [1, 2], "it changes nothing in LORA here; allowed: "),
    ],
)
def test_options_that_name_nothing_are_refused(option: str, value: Any, said: str) -> None:
    """Peft passes over them, and the table would say that they were used."""
    arms = {"l": {"method": {"kind": "peft_any", "type": "LORA", "config": {option: value}}}}
    (text,) = findings(arms=arms).texts()
    assert text.startswith(f"arms.l.method.config.{option}: {said}")


@pytest.mark.parametrize(
    "config",
    [
        {"modules_to_save": ["classifier", "pooler"]},
        {"rank_pattern": {r"layer\.0\..*query": 4}, "alpha_pattern": {"value": 2}},
        {"exclude_modules": ["value"]},
        {"exclude_modules": r".*layer\.0\..*"},
        {"layers_to_transform": [0], "layers_pattern": "layer"},
        {"trainable_token_indices": [3, 4]},
    ],
)
def test_options_that_name_something_are_not(config: dict[str, Any]) -> None:
    """Names, ends of names and patterns, as peft reads them."""
    arms = {"l": {"method": {"kind": "peft_any", "type": "LORA", "config": config}}}
    assert findings(arms=arms).texts() == ()


@pytest.mark.parametrize("layers", [[1, 2], 2])
def test_layers_out_of_range_are_refused(layers: Any) -> None:
    """Peft adapts those that there are and says nothing of the rest."""
    config = {"layers_to_transform": layers}
    arms = {"lora": {"method": {"kind": "peft_any", "type": "LORA", "config": config}}}
    assert findings(arms=arms).texts() == (
        "arms.lora.method.config.layers_to_transform: got 2; the model has 2 layers; "
        "allowed: 0 to 1",
    )


def test_all_faults_of_all_cells_are_listed() -> None:
    """Each arm's own, not the first alone; `of` gives a cell its reason."""
    arms = {
        "bias": {"method": "bitfit"},
        "lora": {"method": {"kind": "lora", "targets": ["nowhere"]}},
        "full": {"method": "full"},
    }
    cells = plan(toy_study(arms=arms, models=["tiny-llama"]))
    found = find_faults(cells, Path(), COMPUTE)
    assert len(found.texts()) == 2
    assert [bool(found.of(cell)) for cell in cells] == [True, True, False]
    found.refuse(cells)  # something can run
    with pytest.raises(ConfigError, match=r"bitfit.*\n.*nowhere"):
        found.refuse(cells[:2])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"ranks": 100000}, "ranks: got 100000; this machine has no CUDA device and"),
        (
            {"train": QUICK | {"precision": "fp16"}},
            "train.precision: fp16 needs a CUDA device; this machine has no CUDA device; use auto",
        ),
        (
            {"executor": {"kind": "ray", "gpus_per_run": 2}},
            "executor.gpus_per_run: got 2; this machine has no CUDA device",
        ),
    ],
)
def test_what_this_machine_has_not_is_a_fault(
    changes: dict[str, Any], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More ranks than can be, half precision without a device, devices that are not there."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (found,) = findings(**({"executor": {"kind": "process"}} | changes)).texts()
    assert found.startswith(text)


def test_a_cluster_has_what_this_machine_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its nodes are not known here."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    executor = {"kind": "ray", "address": "head:6379", "gpus_per_run": 2}
    train = QUICK | {"precision": "fp16"}
    assert not findings(executor=executor, ranks=16, train=train).faults


def test_a_misspelt_class_is_refused_with_the_closest_first(tmp_path: Path) -> None:
    """In the metric and in each objective, once the rows are read."""
    tree = toy_tree(tasks=[long_rows(tmp_path, 5)], metric="f1/spma")
    tree["search"] |= {"objectives": ["f1/hma", "f1/ham", "seconds/train"]}
    allowed = ", accuracy, macro_f1, micro_f1, loss"
    assert read_inputs(parse_study(tree), tmp_path).faults == [
        f"metric: t has no class 'spma'; allowed: f1/spam, f1/ham{allowed}",
        f"search.objectives.0.metric: t has no class 'hma'; allowed: f1/ham, f1/spam{allowed}",
    ]


def test_all_that_is_wrong_with_the_inputs_is_said_at_once(tmp_path: Path) -> None:
    """Two tasks without files and a model that is not there: three lines, nothing written."""
    task = {"kind": "text_file", "train": "none.csv", "test": "none.csv"}
    tasks = [task | {"name": "a"}, task | {"name": "b"}]
    models = [{"kind": "hub", "id": "./nowhere"}]
    store = tmp_path / "store"
    with pytest.raises(TunerError) as caught:
        run_study(
            toy_study(tasks=tasks, models=models),
            store=store,
            tracking="none",
            data_dir=tmp_path,
        )
    assert len(str(caught.value).splitlines()) == 3
    assert not store.exists()


def test_a_cell_that_cannot_run_ends_alone_and_is_not_begun(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The study continues with the others; its line says why, once, before the first run too."""
    config = toy_study(arms={"lora": {"method": TARGETS}, "head": {"method": "head"}})
    outcome = run_study(config, store=tmp_path, tracking="none", data_dir=tmp_path)
    (line,) = outcome.failures
    assert "toy / tiny-bert / lora: arms.lora.method.targets: q_proj, v_proj fit no" in line
    (said,) = [
        record.getMessage() for record in caplog.records if record.name == "tuner.study.checks"
    ]
    assert said.startswith("arms.lora.method.targets: q_proj, v_proj fit no module of tiny-bert;")
    assert said.endswith("; this cell is left out")
    assert outcome.unfinished == ("toy / tiny-bert / lora",)
    assert {run.group.arm for run in records(tmp_path)} == {"head"}


def without_tokenizer(folder: Path, **changes: Any) -> StudyConfig:
    """Write a model without a tokenizer, and a study of it and a sound one."""
    Tiny().model(("a", "b"), "sdpa").save_pretrained(folder / "bare")
    bare = {"kind": "hub", "id": str(folder / "bare"), "name": "bare"}
    arms = {"head": {"method": "head"}, "full": {"method": "full"}}
    return toy_study(**({"models": [bare, "tiny-bert"], "arms": arms} | changes))


def test_a_model_without_a_tokenizer_costs_no_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its cells are left out, at a second start too; one line says so, before the first run."""
    config = without_tokenizer(tmp_path)
    for _ in range(2):
        caplog.clear()
        outcome = run_study(config, store=tmp_path / "s", tracking="none", data_dir=tmp_path)
        messages = [record.getMessage() for record in caplog.records]
        (said,) = [message for message in messages if "tokenizer" in message]
        assert "bare: it has no tokenizer; save the model's own" in said
        assert said.endswith("; these 2 cells are left out")
        assert outcome.unfinished == ("toy / bare / head", "toy / bare / full")
        assert {run.group.model for run in records(tmp_path / "s")} == {"tiny-bert"}
        assert {run.state for run in records(tmp_path / "s")} == {"finished"}


def test_a_study_of_models_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    """In one line for all its cells, and nothing is written."""
    config = without_tokenizer(tmp_path)
    config = config.model_copy(update={"models": config.models[:1]})
    with pytest.raises(ConfigError, match=r"^model\.id: .*bare: it has no tokenizer") as caught:
        run_study(config, store=tmp_path / "s", data_dir=tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "s").exists()


def test_a_damaged_tokenizer_is_told_before(tmp_path: Path) -> None:
    """Its library raises bare exceptions."""
    config = without_tokenizer(tmp_path)
    Tiny().tokenizer().save_pretrained(tmp_path / "bare")
    (tmp_path / "bare" / "tokenizer.json").write_text('{"version": "1.0"}')
    cells = plan(config, read_inputs(config, tmp_path).digests)
    found = inspect_cells(cells, tmp_path, COMPUTE, tmp_path).findings
    assert [bool(found.of(cell)) for cell in cells] == [True, True, False, False]
    assert len(found.texts()) == 1


def test_a_good_answer_is_kept_until_something_changes(tmp_path: Path) -> None:
    """A study that continues is not tried again; one with another model, arm or executor is."""
    cells = plan(toy_study())
    assert not is_known_good(cells, tmp_path)
    remember_good(cells, tmp_path)
    assert is_known_good(cells, tmp_path)
    assert is_known_good(plan(toy_study(confirm={"seeds": [3, 4, 5]})), tmp_path)
    for changes in (
        {"models": ["tiny-roberta"]},
        {"arms": {"lora": {"method": "lora"}}},
        {"train": QUICK | {"max_length": 1024}},
        {"executor": {"kind": "process"}},
        {"memory_cap": "9kB"},
    ):
        assert not is_known_good(plan(toy_study(**changes)), tmp_path)


def test_a_local_model_that_changes_is_looked_at_again(tmp_path: Path) -> None:
    """Its config decides what fits it."""
    model = tmp_path / "model"
    model.mkdir()
    config = model / "config.json"
    config.write_text("{}")
    cells = plan(toy_study(models=[{"kind": "hub", "id": str(model)}]))
    remember_good(cells, tmp_path)
    assert is_known_good(cells, tmp_path)
    config.write_text('{"num_hidden_layers": 1}')
    assert not is_known_good(cells, tmp_path)
