"""What users mistype, over every command: one line that helps, code 2, nothing written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.commands import refused
from tests.specs import toy_tree

_RATE = "train.learning_rate"
_FILE = {"kind": "text_file", "name": "mine", "train": "train.csv", "test": "test.csv"}


def _arm(**fields: Any) -> dict[str, Any]:
    """Return arms of which one has other fields."""
    return {"arms": {"full": {"method": "full"} | fields}}


STUDIES: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown key": ({"tests": 1}, r"tests: no such field.*known: .*tasks"),
    "no arm": ({"arms": {}}, r"arms: at least 1 item is needed, got {}"),
    "no task": ({"tasks": []}, r"tasks: at least 1 item is needed, got \[\]"),
    "no model": ({"models": []}, r"models: at least 1 item is needed, got \[\]"),
    "a task joined of one": (
        {"tasks": [{"kind": "joined", "name": "j", "tasks": ["toy"]}]},
        r"tasks\.0\.tasks: at least 2 items are needed, got \['toy'\]",
    ),
    "no name": ({"name": ""}, r"name: got ''; allowed: letters a to z, digits, "),
    "a name with a space": ({"name": "my study"}, r"name: got 'my study'; allowed: letters"),
    "a name too long": ({"name": "x" * 101}, r"name: got 'xxx.*\.\.\.; allowed: .*100 at most"),
    "an unknown task": ({"tasks": ["agnew"]}, r"tasks\.0: .*'agnew'; known tasks: .*agnews"),
    "an unknown method": (
        _arm(method="lorra"),
        r"arms\.full\.method: .*'lorra'; known methods: .*lora",
    ),
    "a field of no method": (
        _arm(method={"kind": "lora", "rnk": 8}),
        r"arms\.full\.method\.rnk: no such field; known: .*rank",
    ),
    "a space of no field": (
        _arm(space={"train.lr": {"float": [1, 2]}}),
        r"arms\.full\.space\.train\.lr.*learning_rate",
    ),
    "a range turned round": (_arm(space={_RATE: {"float": [1e-2, 1e-4]}}), r"learning_rate"),
    "a logarithm of zero": (
        _arm(space={_RATE: {"float": [0, 1e-2], "log": True}}),
        r"arms\.full\.space\.train\.learning_rate",
    ),
    "a negative rate": ({"train": {"learning_rate": -1}}, r"train\.learning_rate: .*-1"),
    "no epoch": ({"train": {"epochs": 0}}, r"train\.epochs: .*0"),
    "half an epoch": ({"train": {"epochs": 1.5}}, r"train\.epochs: .*1\.5"),
    "an unknown precision": ({"train": {"precision": "fp8"}}, r"train\.precision: .*fp32.*'fp8'"),
    "an unknown metric": ({"metric": "f2"}, r"metric: .*'f2'; known: .*macro_f1"),
    "an unknown pruner": (
        {"search": {"pruner": "halving"}},
        r"search\.pruner: .*known: .*hyperband",
    ),
    "an unknown sampler": ({"search": {"sampler": "bayes"}}, r"search\.sampler: .*known: .*tpe"),
    "a seed twice": ({"confirm": {"seeds": [1, 1]}}, r"confirm\.seeds.*differ"),
    "the search's seed again": (
        {"confirm": {"seeds": [7]}},
        r"confirm\.seeds: search has used \[7\]",
    ),
    "a seed below zero": ({"confirm": {"seeds": [-1]}}, r"confirm\.seeds.*-1"),
    "an unknown executor": ({"executor": {"kind": "slurm"}}, r"executor.*slurm"),
    "a misspelt baseline": (
        {"report": {"baseline": "ful"}},
        r"report\.baseline: no such arm, got 'ful'; known: full, head; did you mean full\?",
    ),
    "no worker": ({"executor": {"kind": "process", "workers": 0}}, r"executor\.workers: .*0"),
    "a cap without a unit": ({"memory_cap": "24"}, r"memory_cap: .*24"),
    "a study's name with a slash": ({"name": "a/b"}, r"name: .*a/b"),
    "a file that is not there": ({"tasks": [_FILE]}, r"train\.csv.*--data-dir"),
    "a data folder that is not there": (
        {"tasks": [{"kind": "hub", "name": "mine", "id": "./rows"}]},
        r"\./rows: no such folder",
    ),
    "a file as a data set's id": (
        {"tasks": [{"kind": "hub", "name": "mine", "id": "study.yaml"}]},
        r"study\.yaml: a file; .*kind: text_file",
    ),
    "a folder that is not there": ({"models": ["./no/model"]}, r"\./no/model"),
    "an address as a model": (
        {"models": ["https://huggingface.co/a/b"]},
        r"models\.0: .*write a/b$",
    ),
    "a model's file": (
        {"models": ["./study.yaml"]},
        r"\./study\.yaml: it is a file: name the fol",
    ),
    "a preset that is not there": ({"deepspeed": "zero9"}, r"deepspeed.*zero9"),
}

COMMANDS: dict[str, tuple[list[str], str]] = {
    "no such command": (["run", "quickstart"], r"No such command 'run'"),
    "a misspelt command": (["reprot", "quickstart"], r"'reprot'.* Did you mean 'report'\?"),
    "a misspelt study": (
        ["report", "quickstrat"],
        r"'quickstrat' in mlruns.*did you mean quickstart\?|mlruns: no studies here yet",
    ),
    "a misspelt format": (
        ["report", "quickstart", "--format", "htm"],
        r"--format: no such format, got 'htm'.*did you mean html\?",
    ),
    "no study": (["run-study"], r"Missing argument 'study'"),
    "a study that is not there": (["run-study", "quickstrat"], r"quickstrat.*quickstart"),
    "a file that is not there": (["validate", "no/study.yaml"], r"no/study\.yaml"),
    "a folder for a study": (["validate", "."], r"\."),
    "an option of no command": (["validate", "quickstart", "--fast"], r"No such option.*--fast"),
    "a time that is no number": (["run-study", "quickstart", "--timeout", "1h"], r"--timeout.*1h"),
    "a store that is an address": (
        ["run-study", "quickstart", "--store", "s3://bucket"],
        r"--store.*s3:",
    ),
    "a server that is a folder": (
        ["run-study", "quickstart", "--tracking", "mlruns"],
        r"mlruns",
    ),
    "a report of nothing": (["report", "quickstart"], r"quickstart.*not run|mlruns"),
    "an unknown format": (["report", "quickstart", "--format", "pdf"], r"--format.*pdf.*html"),
    "a reference that is not there": (
        ["report", "quickstart", "--reference", "no.csv"],
        r"--reference: no such file, got 'no\.csv'; known: .*published",
    ),
    "a reference that is a folder": (
        ["report", "quickstart", "--reference", "."],
        r"--reference: a folder, got '\.'; known: ",
    ),
    "a plan of nothing": (["plan", "quickstrat"], r"quickstrat.*quickstart"),
    "a difference of none": (["plan", "quickstart", "--detect", "0"], r"--detect.*0"),
    "a spread below none": (["plan", "quickstart", "--spread", "-1"], r"--spread.*-1"),
    "no way of asking": (["memory"], r"name one of STUDY, --model and --parameters"),
    "two ways of asking": (["memory", "quickstart", "--parameters", "3e9"], r"name one of"),
    "a stage that is none": (["memory", "--parameters", "3e9", "--zero", "7"], r"--zero.*7"),
    "no weight": (["memory", "--parameters", "0"], r"--parameters.*0"),
    "a device that is none": (["memory", "quickstart", "--device", "tpu"], r"--device.*'tpu'"),
    "a size that is none": (
        ["memory", "--model", "tiny-bert", "--fits", "lots"],
        r"--fits.*lots",
    ),
    "data of no task": (["fetch-data", "agnew"], r"'agnew'; known tasks: .*agnews"),
    "a list of nothing": (["list", "arms"], r"list: got 'arms'; known: studies, methods, tasks"),
    "a list of one": (["list", "method"], r"list: got 'method'; .*; did you mean methods\?"),
    "a list without a word": (["list"], r"Missing argument 'studies\|methods\|"),
    "a port that is none": (["ui", "--port", "99999"], r"--port.*99999"),
    "a store without runs": (["ui", "--store", "empty"], r"empty"),
}


_TAKE_DATA = {
    "run-study": ["run-study", "quickstart"],
    "validate": ["validate", "quickstart", "--no-data"],
    "plan": ["plan", "quickstart"],
    "report": ["report", "quickstart"],
    "memory": ["memory", "quickstart"],
}
COMMANDS |= {
    f"a data folder that is not there: {name}": (
        [*words, "--data-dir", "no/data"],
        r"--data-dir no/data: no such folder; ",
    )
    for name, words in _TAKE_DATA.items()
} | {
    f"a file as a data folder: {name}": (
        [*words, "--data-dir", __file__],
        r"--data-dir .*test_bad_inputs\.py: a file; name the folder",
    )
    for name, words in (_TAKE_DATA | {"fetch-data": ["fetch-data", "toy"]}).items()
}


COMMANDS |= (
    {
        f"a folder as a study: {name}": (
            [words[0], "/"],
            r"/: a folder; name the YAML file of a study",
        )
        for name, words in _TAKE_DATA.items()
        if name != "report"
    }
    | {
        f"a file as a store: {name}": (
            [*words, "--store", __file__],
            r"--store .*: not a folder that can be written to: .*test_bad_inputs\.py is a file",
        )
        for name, words in (_TAKE_DATA | {"ui": ["ui"]}).items()
        if name != "validate"
    }
    | {
        f"a store below a file: {name}": (
            [*words, "--store", f"{__file__}/runs"],
            r"--store .*/runs: not a folder that can .*test_bad_inputs\.py is a file",
        )
        for name, words in (_TAKE_DATA | {"ui": ["ui"]}).items()
        if name != "validate"
    }
)


ASKED = [(command, what) for command in ("run-study", "validate") for what in STUDIES]


@pytest.mark.parametrize(("command", "what"), ASKED)
def test_a_bad_study_is_refused_in_one_line(
    command: str,
    what: str,
    tmp_path: Path,
) -> None:
    """File, dotted key, what was got and what is allowed; nothing is left behind."""
    changes, said = STUDIES[what]
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(toy_tree(**changes)))
    line = _line([command, "study.yaml"], tmp_path)
    assert re.search(said, line), line


@pytest.mark.parametrize("what", COMMANDS)
def test_a_bad_command_is_refused_in_one_line(
    what: str,
    tmp_path: Path,
) -> None:
    """The option, what was got and what is allowed; nothing is left behind."""
    words, said = COMMANDS[what]
    line = _line(words, tmp_path)
    assert re.search(said, line), line


def _line(words: list[str], folder: Path) -> str:
    """Run a command in a folder; return its one line after looking at what it left."""
    before = sorted(folder.rglob("*"))
    done = refused(*words, cwd=folder)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("tuner: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert sorted(folder.rglob("*")) == before
    return done.stderr
