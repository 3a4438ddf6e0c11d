"""What a study says of DeepSpeed is read whole, and checked by DeepSpeed before it starts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.specs import toy_tree
from trainers.errors import ConfigError
from tuner.config.deepspeed import ask_deepspeed, ds_configs
from tuner.config.load import dump_study, parse_study

needs_deepspeed = pytest.mark.skipif(
    find_spec("deepspeed") is None, reason="needs the extra `deepspeed`"
)
FILES = [
    ("{}", r"mine\.json: the JSON object has no settings"),
    ("[1]", r"mine\.json: expected a JSON object"),
    ('{"zero_optimization": {"stage": NaN}}', r"zero_optimization\.stage: got nan; allowed"),
    ("[" * 100_000, r"mine\.json: nested too deeply"),
    ('{"a": ' * 50 + "{}" + "}" * 50, r"\.\.\.: nested too deeply"),
    ('{"a": {"b": 1, "b": 2}}', r"mine\.json: cannot be read as JSON: duplicate key 'b'"),
]
VALUES: list[tuple[Any, str]] = [
    (
        {},
        r"study: deepspeed: got \{\}, which has no settings; to train without DeepSpeed, "
        "write none",
    ),
    (
        3,
        r"deepspeed: got 3; allowed: a preset \(none, zero0, .*\), a path with a su",
    ),
    (True, r"deepspeed: got true; allowed: a preset"),
    ("mine.json", r"study: deepspeed: mine\.json: no such file"),
    (
        {"zero_optimization": {"stage": float("inf")}},
        r"\.zero_optimization\.stage: got inf; ",
    ),
]


def _tree(value: object) -> dict[str, Any]:
    return toy_tree(deepspeed=value, ranks=2, executor={"kind": "process"})


@pytest.mark.parametrize(("text", "says"), FILES, ids=[says for _, says in FILES])
def test_a_file_that_is_no_config_is_said_in_one_line(
    tmp_path: Path, text: str, says: str
) -> None:
    """With its path, or the key in it."""
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        parse_study(_tree(str(path)))


@pytest.mark.parametrize(("value", "says"), VALUES, ids=[says for _, says in VALUES])
def test_a_value_that_is_no_config_is_said_in_one_line(value: object, says: str) -> None:
    """Also where a path looks like a key."""
    with pytest.raises(ConfigError, match=says):
        parse_study(_tree(value))


def test_without_deepspeed_is_written_out_as_it_was_said() -> None:
    """An empty config would be refused when the study is read again."""
    study = parse_study(_tree("none"))
    assert "\ndeepspeed: none\n" in dump_study(study)
    assert parse_study(study.model_dump(by_alias=True)) == study


@pytest.mark.deepspeed
@pytest.mark.timeout(120)
@needs_deepspeed
def test_deepspeed_says_what_it_does_not_know() -> None:
    """Key, what was got, what is allowed; nothing is wrong with what is like a preset."""
    zero = {"stage": 3}
    faults = {
        r"\.zero_optimization\.overlap_com: no such field; nearest: overlap_comm$": {
            "zero_optimization": zero | {"overlap_com": True}
        },
        r"\.zero_optimization\.offload_param\.pin: no such field; known: .*pin_memory": {
            "zero_optimization": zero | {"offload_param": {"device": "cpu", "pin": True}}
        },
        r"\.zero_optimization\.overlap_comm: .*valid boolean.*got 'maybe'": {
            "zero_optimization": zero | {"overlap_comm": "maybe"}
        },
        r"^deepspeed\.gradient_cliping: no such field; nearest: gradient_clipping$": {
            "zero_optimization": zero,
            "gradient_cliping": "auto",
        },
        r"^deepspeed\.qwerty: no such field; known: .*zero_optimization$": {
            "zero_optimization": zero,
            "qwerty": {},
        },
        r"\.bf16\.enable: no such field; nearest: enabled$": {"bf16": {"enable": "auto"}},
        r"^deepspeed: .*fp16 modes cannot be simultaneously": {
            "bf16": {"enabled": True},
            "fp16": {"enabled": True},
        },
    }
    good = [preset | {"steps_per_print": 7} for preset in ds_configs().values()]
    good.append(good[0] | {"wandb": {}, "csv_monitor": {}, "flops_profiler": {}, "aio": {}})
    said = ask_deepspeed([*faults.values(), *good])
    for pattern, fault in zip(faults, said, strict=False):
        assert re.search(pattern, fault)
        assert "\n" not in fault
    assert said[len(faults) :] == [""] * len(good)


@pytest.mark.deepspeed
@pytest.mark.timeout(120)
@needs_deepspeed
def test_a_typo_in_an_arm_is_found_without_loading_torch() -> None:
    """DeepSpeed is asked in a process of its own, and not at all about presets."""
    tree = _tree("zero2")
    tree["arms"]["head"]["deepspeed"] = {"zero_optimization": {"stage": 1, "overlap_com": True}}
    code = (
        "import json, sys; from tuner.config.load import parse_study\n"
        "tree = json.loads(sys.argv[1])\n"
        "try: parse_study(tree)\n"
        "except ValueError as error: print(error)\n"
        "assert not {'torch', 'deepspeed'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code, json.dumps(tree)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "study: arms.head.deepspeed.zero_optimization.overlap_com: no such field; nearest: "
    )
