"""`tuner memory`: the states alone, one configuration, and inputs that cannot be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.specs import toy_study
from tests.tuner.forecast.memory.commands import predict
from trainers.errors import TunerError
from tuner.cli.app import app
from tuner.cli.memory_text import study_lines
from tuner.forecast.memory import RunOptions, need_of, study_needs
from tuner.study.run import run_study
from tuner.tracking import open_reader

ROOT = Path(__file__).parents[4]


def test_states_alone_as_json() -> None:
    """Three billion weights in float32 with AdamW: 12 + 12 + 24 = 48 GB."""
    out = json.loads(predict("--parameters", "3e9", "--precision", "fp32", "--json"))
    wanted = {"parameters": 12e9, "gradients": 12e9, "optimizer": 24e9, "total": 48e9}
    assert out["states"] == wanted


def test_states_by_stage_for_people() -> None:
    """Each stage has its total, with both units, in 80 columns."""
    text = predict("--parameters", "3e9", "--ranks", "8", "--zero", "0,1,2,3")
    for total in ("48.00 GB (44.70 GiB)", "27.00 GB", "16.50 GB", "6.00 GB"):
        assert total in text
    assert max(map(len, text.splitlines())) <= 80


def test_states_need_no_torch() -> None:
    """Arithmetic loads nothing that takes time."""
    code = (
        "import sys; sys.argv = ['tuner', 'memory', '--parameters', '3e9', '--zero', '2']\n"
        "from tuner.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert not {'torch', 'transformers', 'mlflow', 'optuna'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)


def test_one_configuration_from_a_config_file(config: Path) -> None:
    """A local config.json is enough; the keys are those that scripts rely on."""
    words = ("--model", str(config), "--method", "lora", "--batch-size", "8", "--length", "32")
    out = json.loads(predict(*words, "--checkpointing", "--json"))
    assert {"trainable_parameters", "predicted_peak_bytes", "categories"} <= out.keys()
    text = predict(*words)
    assert "activations" in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_output_says_what_is_in_half_precision(config: Path) -> None:
    """Autocast leaves the weights in float32; DeepSpeed, and the states alone, do not."""
    words = ("--model", str(config), "--precision", "bf16")
    assert "bf16 autocast" in predict(*words)
    assert "bf16 weights" in predict(*words, "--zero", "1", "--ranks", "2")
    assert "with a float32 copy" in predict("--parameters", "3e9", "--precision", "bf16")
    assert "copy" not in predict("--parameters", "3e9")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_rank_under_zero_in_half_precision(config: Path, precision: str) -> None:
    """A stage is all of DeepSpeed's config that has to be named."""
    words = ("--model", str(config), "--ranks", "2", "--precision", precision)
    by_stage = [json.loads(predict(*words, "--zero", stage, "--json")) for stage in ("1", "3")]
    states = [out["categories"]["optimizer"] for out in by_stage]
    # Two moments and a float32 copy of each weight, divided by two.
    assert states == [pytest.approx(6 * out["trainable_parameters"], abs=8) for out in by_stage]
    assert by_stage[1]["categories"]["parameters"] < by_stage[0]["categories"]["parameters"]


def test_ranks_under_zero_are_predicted_with_the_shipped_preset(config: Path) -> None:
    """Whose buckets are of the model's size, and not DeepSpeed's 500 million elements."""
    words = ("--model", str(config), "--ranks", "2", "--batch-size", "8", "--length", "16")
    for stage in ("2", "3"):
        out = json.loads(predict(*words, "--zero", stage, "--json"))
        assert out["predicted_peak_bytes"] < 10_000_000


def test_a_study_has_a_row_for_each_cell_with_what_was_measured(tmp_path: Path) -> None:
    """Savings are counted from the arm that trains most; runs of the store stand beside."""
    arms = {"full": {"method": "full"}, "head": {"method": "head"}}
    config = toy_study(measure="allocator", confirm={"seeds": [1]}, arms=arms)
    run_study(config, store=tmp_path / "store", data_dir=tmp_path, tracking="none")
    runs = open_reader(tmp_path / "store").runs(config.name)
    full, head = study_needs(config, runs, data_dir=tmp_path, cache_dir=tmp_path / "cache")
    assert full.saved is None
    assert head.saved is not None
    assert 0 < head.saved < 1
    assert full.runs == 1
    assert full.measured_peak_bytes is not None
    # Batches of sorted rows are not the worst that the rows could make.
    assert full.predicted_peak_bytes == pytest.approx(full.measured_peak_bytes, rel=0.1)
    peaks = [v for run in runs for n, v in run.metrics.items() if "/measured/" in n]
    assert max(full.measured_peak_bytes, head.measured_peak_bytes or 0) == max(peaks)
    # The prediction of that very run knows the order of its rows.
    assert full.measured_predicted_bytes == pytest.approx(full.measured_peak_bytes, rel=0.01)
    held = [run.metrics["memory/predicted/framework_bytes"] for run in runs]
    assert max(full.framework_bytes, head.framework_bytes) == max(held)
    # A run that could not be predicted has nothing to be off by.
    known = {n: v for run in runs for n, v in run.metrics.items() if "/measured/" in n}
    unknown = [run.model_copy(update={"metrics": known}) for run in runs]
    bare, _ = study_needs(config, unknown, data_dir=tmp_path, cache_dir=tmp_path / "cache")
    assert bare.measured_peak_bytes
    assert bare.measured_predicted_bytes is None
    # A GPU's kernels round what they take, and a CPU's runs do not stand beside them.
    on_gpu, _ = study_needs(
        config, runs, data_dir=tmp_path, cache_dir=tmp_path / "cache", device="cuda"
    )
    assert on_gpu.measured_peak_bytes is None
    assert on_gpu.predicted_peak_bytes != full.predicted_peak_bytes
    between = (full.whole_bytes + head.whole_bytes) // 2
    text = "\n".join(study_lines(config.name, [full, head], between))
    assert f"1 of 2 cells above it:\n  {full.name}\n" in text
    assert max(map(len, text.splitlines())) <= 80


_CONFIG = "CONFIG"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name one of STUDY"),
        (("quickstart", "--parameters", "3e9"), "name one of"),
        (("--parameters", "-3"), "--parameters: must be at least 1"),
        (("--parameters", "nan"), "--parameters: must be at least 1 and finite"),
        (("--parameters", "1e400"), "got inf"),
        (("--parameters", "3e9", "--fits", "1GB"), "--fits: has no effect with --parameters"),
        (("--parameters", "3e9", "--method", "full"), "--method: has no effect with --parameters"),
        (("quickstart", "--zero", "2"), "--zero: has no effect with a STUDY; allowed: --store"),
        (("quickstart", "--device", "tpu"), "--device: got 'tpu'; known: cpu, cuda"),
        (("--model", ""), "--model: got an empty name"),
        (("--model", _CONFIG, "--length", "600"), "--length: config.json has 512 positions"),
        (("--model", _CONFIG, "--length", "600", "--fits", "9GB"), "--length: config.json has"),
        (("--parameters", "3e9", "--precision", "int4"), "--precision: got 'int4'"),
        (("--model", _CONFIG, "--optimizer", "lion"), "--optimizer: input should be 'adamw', "),
        (("--parameters", "3e9", "--zero", "4"), "--zero: got '4'"),
        (("--parameters", "3e9", "--optimizer", "lion"), "--optimizer: got 'lion'"),
        (("--model", "no/such/folder/config.json"), "no such file"),
        (("--model", _CONFIG, "--method", "lorra"), "no such name 'lorra'"),
        (("--model", _CONFIG, "--precision", "int8"), "--precision: "),
        (("--model", _CONFIG, "--zero", "0,1"), "one stage"),
        (("--model", _CONFIG, "--device", "tpu"), "--device: got 'tpu'"),
        (("--model", _CONFIG, "--fits", "lots"), "--fits: expected"),
        (("--model", _CONFIG, "--fits", "24"), "--fits: expected a size such as 24GB"),
        (("--model", _CONFIG, "--fits", "1MB"), "below the weights"),
        (("--parameters", "0.5"), "--parameters: must be at least 1"),
        (
            ("--model", _CONFIG, "--store", "runs"),
            "--store: has no effect with --model; allowed: ",
        ),
        (("--model", _CONFIG, "--batch-size", "9" * 14), "too many bytes to count"),
        (
            ("--model", _CONFIG, "--method", "prompt", "--length", "510"),
            "more than the model's 512 positions; lower --length",
        ),
        (("no-such-study",), "no-such-study"),
    ],
    ids=str,
)
def test_bad_input_is_one_line(config: Path, words: tuple[str, ...], said: str) -> None:
    """An invalid value is refused, with its option and the allowed values."""
    given = ["memory", *(str(config) if word == _CONFIG else word for word in words)]
    done = CliRunner().invoke(app, given)
    assert isinstance(done.exception, TunerError)
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)


def test_a_config_without_a_model_type_is_one_line(tmp_path: Path) -> None:
    """The key that is missing is named."""
    path = tmp_path / "config.json"
    path.write_text('{"hidden_size": 32}')
    with pytest.raises(TunerError, match="model_type") as caught:
        need_of(RunOptions(str(path), attention="eager"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden_size": "abc"}, "'hidden_size'.*'abc'"),
        ({"hidden_size": -64}, "-64"),
        ({"num_attention_heads": 0}, "cannot load the config"),
        ({"vocab_size": 0}, "cannot load the config"),
        ({"model_type": "clip"}, "CLIPConfig.*text classifier"),
    ],
    ids=str,
)
def test_a_config_that_no_classifier_is_built_from_is_one_line(
    config: Path, changes: dict[str, object], said: str
) -> None:
    """The file is named with what is wrong in it."""
    config.write_text(json.dumps(json.loads(config.read_text()) | changes))
    with pytest.raises(TunerError, match=f"{config}.*{said}") as caught:
        need_of(RunOptions(str(config)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "size"), [("num_hidden_layers", -1), ("vocab_size", 0)])
def test_a_size_below_one_is_refused(config: Path, name: str, size: int) -> None:
    """Of -1 layers a model would be built without any."""
    config.write_text(json.dumps(json.loads(config.read_text()) | {name: size}))
    with pytest.raises(TunerError, match=f"{name}: got {size}; allowed: at least 1"):
        need_of(RunOptions(str(config), batch_size=1, length=16))


def test_roberta_counts_positions_after_its_pad_token(config: Path) -> None:
    """Of 514 positions a row may have 512."""
    tree = {"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}
    config.write_text(json.dumps(json.loads(config.read_text()) | tree))
    assert need_of(RunOptions(str(config), batch_size=1, length=512)).train_peak_bytes
    with pytest.raises(TunerError, match="has 512 positions; got rows of 513"):
        need_of(RunOptions(str(config), batch_size=1, length=513))


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        ("opt", {"word_embed_proj_dim": 32, "ffn_dim": 64, "num_attention_heads": 4}),
        ("bart", {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1}),
    ],
)
def test_positions_that_begin_at_an_offset_are_counted(
    config: Path, kind: str, sizes: dict[str, int]
) -> None:
    """OPT's and BART's tables have two more entries than a row may have tokens."""
    tree = {"model_type": kind, "max_position_embeddings": 40, "hidden_size": 32, **sizes}
    config.write_text(json.dumps({"num_hidden_layers": 1, "vocab_size": 100} | tree))
    with pytest.raises(TunerError, match="has 40 positions; got rows of 41"):
        need_of(RunOptions(str(config), batch_size=1, length=41))


def test_a_config_without_what_its_model_needs_is_one_line(tmp_path: Path) -> None:
    """T5 begins its decoder with a token that the config may not name."""
    tree = {"model_type": "t5", "d_model": 16, "d_ff": 32, "d_kv": 4, "num_layers": 1}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(tree | {"num_heads": 4, "vocab_size": 50}))
    with pytest.raises(TunerError, match=r"cannot be run: .*decoder_start_token_id") as caught:
        need_of(RunOptions(str(path)))
    assert "\n" not in str(caught.value)


def test_a_model_without_sdpa_is_told_what_to_set(tmp_path: Path) -> None:
    """In place of transformers' wish for an issue of its own."""
    tree = {"model_type": "deberta-v2", "hidden_size": 16, "intermediate_size": 32}
    tree |= {"num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 50}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(tree))
    with pytest.raises(TunerError) as caught:
        need_of(RunOptions(str(path)))
    assert str(caught.value).endswith("yet (set --attention eager)")
    assert need_of(RunOptions(str(path), attention="eager"))


def test_a_model_that_looks_at_its_tokens_is_one_line(tmp_path: Path) -> None:
    """Longformer asks which of them are global, cannot be traced, and says so."""
    tree = {"model_type": "longformer", "hidden_size": 16, "intermediate_size": 32}
    tree |= {"num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 50}
    tree |= {"attention_window": [8]}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(tree))
    with pytest.raises(TunerError, match="cannot be traced") as caught:
        need_of(RunOptions(str(path), attention="eager"))
    assert "\n" not in str(caught.value)
