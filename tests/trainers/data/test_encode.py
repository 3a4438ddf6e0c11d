"""Encoded rows are what the tokenizer gives, and are made once."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from trainers.data.encode import encode_task, tokenizer_fingerprint
from trainers.data.load import TaskData, load_task
from trainers.interfaces import Example
from trainers.tasks.toy import Toy

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "cat", "dog", "the", "red", "blue")


def encoder(words: tuple[str, ...] = WORDS, **settings: Any) -> PreTrainedTokenizerFast:
    """Make a word-level tokenizer that frames texts like BERT's."""
    backend = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, "[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **settings,
    )


def decoder() -> PreTrainedTokenizerFast:
    """Make one that adds nothing and knows no segments, like GPT's."""
    backend = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, "[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        model_input_names=["input_ids", "attention_mask"],
    )


def data(*rows: tuple[str, str | None, str]) -> TaskData:
    """Make a task whose three splits hold the same rows under other ids."""

    def split(name: str) -> tuple[Example, ...]:
        return tuple(Example(f"{name}{n}", *row) for n, row in enumerate(rows))

    digests = {name: str(rows) for name in ("train", "validation", "test")}
    return TaskData(("y", "x"), split("a"), split("b"), split("c"), digests)


SINGLE = data(("the cat", None, "x"), ("red", None, "y"), ("", None, "y"))
PAIR = data(("cat", "the red dog", "x"), ("the the the the cat", "red blue", "y"))


def test_single_texts_are_framed_and_not_padded(tmp_path: Path) -> None:
    """Rows keep their order and their own lengths; class numbers follow the labels' order."""
    train = encode_task(SINGLE, encoder(), max_length=16, cache_dir=tmp_path).train
    assert train["input_ids"][:] == [[2, 6, 4, 3], [2, 7, 3], [2, 3]]
    assert train["attention_mask"][:] == [[1, 1, 1, 1], [1, 1, 1], [1, 1]]
    assert train["labels"][:] == [1, 0, 0]
    assert train["length"][:] == [4, 3, 2]


def test_pairs_are_segments_and_the_longer_text_is_cut(tmp_path: Path) -> None:
    """Both texts of a pair survive a small limit."""
    train = encode_task(PAIR, encoder(), max_length=7, cache_dir=tmp_path).train
    assert train["input_ids"][:] == [[2, 4, 3, 6, 7, 5, 3], [2, 6, 6, 3, 7, 8, 3]]
    assert train["token_type_ids"][:] == [[0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1, 1]]


def test_a_decoders_rows_have_no_segments(tmp_path: Path) -> None:
    """Only the columns that the tokenizer makes are kept."""
    train = encode_task(PAIR, decoder(), max_length=16, cache_dir=tmp_path).train
    assert train.column_names == [
        "input_ids",
        "attention_mask",
        *("labels", "length", "tokens", "known"),
    ]
    assert train["input_ids"][0] == [4, 6, 7, 5]


def test_pairs_and_single_texts_may_be_mixed(tmp_path: Path) -> None:
    """Joined tasks hold both; a missing second text is not an empty one."""
    mixed = data(("cat", None, "x"), ("cat", "dog", "y"), ("cat", "", "x"))
    train = encode_task(mixed, encoder(), max_length=16, cache_dir=tmp_path).train
    assert train["input_ids"][:] == [[2, 4, 3], [2, 4, 3, 5, 3], [2, 4, 3, 3]]


def test_the_second_time_nothing_is_tokenised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that comes later reads what an earlier one wrote, and gets the same rows."""
    first = encode_task(PAIR, encoder(), max_length=16, cache_dir=tmp_path)

    def refuse(*arguments: object, **settings: object) -> None:
        raise AssertionError("tokenised again")

    monkeypatch.setattr(PreTrainedTokenizerFast, "__call__", refuse)
    second = encode_task(PAIR, encoder(), max_length=16, cache_dir=tmp_path)
    assert second.test.to_dict() == first.test.to_dict()


def test_a_damaged_entry_is_made_again(tmp_path: Path) -> None:
    """A crash or a full disk costs time, not a wrong result."""
    first = encode_task(PAIR, encoder(), max_length=16, cache_dir=tmp_path).train.to_dict()
    (path,) = tmp_path.rglob("train.arrow")
    path.write_bytes(path.read_bytes()[:200])
    again = encode_task(PAIR, encoder(), max_length=16, cache_dir=tmp_path)
    assert again.train.to_dict() == first


def test_data_tokenizer_and_length_have_entries_of_their_own(tmp_path: Path) -> None:
    """Whatever changes the token ids changes the entry."""
    other_data = replace(SINGLE, digests=SINGLE.digests | {"test": "other"})
    other_labels = replace(SINGLE, labels=("x", "y"))
    longer_vocabulary = encoder((*WORDS, "green"))
    cases = [
        (SINGLE, encoder(), 16),
        (other_data, encoder(), 16),
        (other_labels, encoder(), 16),
        (SINGLE, longer_vocabulary, 16),
        (SINGLE, decoder(), 16),
        (SINGLE, encoder(truncation_side="left"), 16),
        (SINGLE, encoder(), 8),
    ]
    for task, tokenizer, length in cases:
        encode_task(task, tokenizer, max_length=length, cache_dir=tmp_path)
    assert len(list((tmp_path / "encoded").iterdir())) == len(cases)


def test_a_fingerprint_does_not_change_by_use() -> None:
    """Calls leave truncation and padding behind in a tokenizer; they say nothing about it."""
    tokenizer = encoder()
    before = tokenizer_fingerprint(tokenizer)
    tokenizer("the cat", truncation=True, max_length=4, padding="max_length")
    assert tokenizer.backend_tokenizer.truncation is not None
    assert tokenizer_fingerprint(tokenizer) == before == tokenizer_fingerprint(encoder())


def test_entries_are_small_and_mapped_from_their_files(tmp_path: Path) -> None:
    """Reading maps files instead of copying them, and ids take four bytes each."""
    task = load_task(Toy(rows=400), tmp_path, 2022)
    train = encode_task(task, encoder(), max_length=64, cache_dir=tmp_path).train
    (file,) = train.cache_files
    tokens = sum(train["length"][:])
    assert Path(file["filename"]).is_relative_to(tmp_path)
    assert Path(file["filename"]).stat().st_size < 14 * tokens + 40 * len(train)


def test_nothing_is_written_outside_the_cache_folder(tmp_path: Path) -> None:
    """No progress bar, and no trace in the home folder."""
    home = tmp_path / "home"
    home.mkdir()
    environment = os.environ | {
        "HOME": str(home),
        "HF_HOME": str(home / "hf"),
        "TMPDIR": str(home),
    }
    code = (
        "from pathlib import Path; from tests.trainers.data.test_encode import *; "
        f"encode_task(PAIR, encoder(), max_length=16, cache_dir=Path({str(tmp_path / 'cache')!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [path for path in home.rglob("*") if path.is_file()] == []
