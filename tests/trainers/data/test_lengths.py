"""Rows are counted whole, whatever they are cut to."""

from __future__ import annotations

from pathlib import Path

from tests.trainers.data.test_encode import PAIR, SINGLE, data, decoder, encoder
from trainers.data.encode import count_tokens, encode_task
from trainers.data.lengths import encoded_lengths, measure_lengths
from trainers.models.tiny import Tiny
from trainers.tasks.toy import Toy


def test_tokens_are_those_before_a_row_is_cut(tmp_path: Path) -> None:
    """The same numbers however short max_length is, with and without encoding."""
    for task in (SINGLE, PAIR):
        counted = count_tokens(task.train, encoder())
        for limit in (4, 16):
            train = encode_task(task, encoder(), max_length=limit, cache_dir=tmp_path).train
            assert {name: train[name][:] for name in counted} == counted
            assert train["length"][:] == [min(limit, n) for n in counted["tokens"]]
    assert count_tokens(PAIR.train, encoder())["tokens"] == [7, 10]


def test_a_cut_row_is_what_the_tokenizer_makes_of_it(tmp_path: Path) -> None:
    """Rows that are cut and rows that are not stand in one part."""
    mixed = data(("the cat the dog the cat", None, "x"), ("red", None, "y"))
    train = encode_task(mixed, encoder(), max_length=4, cache_dir=tmp_path).train
    expected = encoder()([row.text for row in mixed.train], truncation=True, max_length=4)
    for name in ("input_ids", "attention_mask", "token_type_ids"):
        assert train[name][:] == expected[name]


def test_known_tokens_are_neither_special_nor_unknown() -> None:
    """A text in words that the tokenizer does not have holds none."""
    rows = data(("the cat", None, "x"), ("chat noir", None, "y"), ("", None, "y")).train
    assert count_tokens(rows, encoder())["known"] == [2, 0, 0]


def test_rows_of_nothing_known_and_rows_of_nothing_are_told_apart(tmp_path: Path) -> None:
    """The first of each is named; a blank text is not one of unknown words."""
    task = data(("the cat", None, "x"), ("chat noir", None, "y"), ("", None, "y"))
    of_train = encoded_lengths(
        task, encode_task(task, decoder(), max_length=8, cache_dir=tmp_path)
    )
    found = of_train["train"]
    assert dict(found.rows) == {0: 1, 2: 2}
    assert (found.wordless, found.first_wordless, found.first_empty) == (1, "a1", "a2")
    assert (found.longest, found.total, found.cut(1)) == (2, 3, 2)


def test_lengths_are_measured_without_a_cache(tmp_path: Path) -> None:
    """Of every split, and nothing is written."""
    lengths = measure_lengths(Toy(), Tiny(), tmp_path, 2022).splits
    assert {split: found.total for split, found in lengths.items()} == {
        **{"train": 128, "validation": 64, "test": 64}
    }
    assert list(tmp_path.iterdir()) == []
