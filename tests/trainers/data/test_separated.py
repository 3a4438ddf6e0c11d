"""CSV, TSV and their kin read as people write them; no quotation mark swallows a row."""

from __future__ import annotations

import csv
import time
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from trainers.errors import DataError, visible
from trainers.tasks.text_file import TextFile

ROWS = [("good", "pos"), ("bad", "neg")]


def rows(
    folder: Path, content: str, name: str = "t.csv", **settings: Any
) -> list[tuple[str, str]]:
    """Return the texts and classes that a task reads from such a file."""
    (folder / name).write_text(content, encoding="utf-8", newline="")
    corpus = TextFile(train=name, test=name, **settings).read(folder)
    return [(row.text, row.label) for row in corpus.train]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        # characters: a mark that nothing closes, one in the middle, a text in part in marks
        (['a"b\tpos', '"c\tneg', "d\tpos"], [('a"b', "pos"), ('"c', "neg"), ("d", "pos")]),
        (['"Nice" place\tpos', "b\tneg"], [('"Nice" place', "pos"), ("b", "neg")]),
        (['"a"\tpos', '"Nice" b\tneg'], [('"a"', "pos"), ('"Nice" b', "neg")]),
        (
            ["a\tx", '"b\ty', 'c "d"\tz', "e\tx"],
            [("a", "x"), ('"b', "y"), ('c "d"', "z"), ("e", "x")],
        ),
        # a later mark closes the first, and each line is a row of its own
        (['"good\tpos', 'bad"\tneg', "x\tpos"], [('"good', "pos"), ('bad"', "neg"), ("x", "pos")]),
        (['"good\tpos', "so\tx", 'bad"\tneg'], [('"good', "pos"), ("so", "x"), ('bad"', "neg")]),
        # cells in quotation marks, some or all, with tabs, line ends and doubled marks
        (['"a"\tpos', "b\tneg"], [("a", "pos"), ("b", "neg")]),
        (['"a\tb"\tpos', '"c ""d"""\tneg'], [("a\tb", "pos"), ('c "d"', "neg")]),
        (['"two', 'lines"\tpos', '""\tneg'], [("two\nlines", "pos"), ("", "neg")]),
        (['"a\t', 'b"\tpos', '""\tneg'], [("a\t\nb", "pos"), ("", "neg")]),
    ],
)
def test_a_mark_in_tsv_is_a_character_unless_all_are_closed(
    lines: list[str], expected: list[tuple[str, str]], tmp_path: Path
) -> None:
    """Cells count as quoted only if every one that begins with a mark ends with one."""
    for newline in ("\n", "\r\n", "\r"):
        text = newline.join(["text\tlabel", *lines])
        wanted = [(cell.replace("\n", newline), label) for cell, label in expected]
        assert rows(tmp_path, text, "t.tsv") == wanted


def test_a_header_in_quotation_marks_says_that_cells_are_quoted(tmp_path: Path) -> None:
    """Then each cell is taken out of its marks, whatever it holds."""
    text = '"text"\t"label"\n"a\tx\nb"\t"neg"\n"c"\t"pos"\n'
    assert rows(tmp_path, text, "t.tsv") == [("a\tx\nb", "neg"), ("c", "pos")]
    with pytest.raises(DataError, match=r"t\.tsv: line 2: .* is not closed"):
        rows(tmp_path, text.replace('b"', "b", 1).replace('"c"', "c"), "t.tsv")


def test_quoting_may_be_said(tmp_path: Path) -> None:
    """Both ways of reading can be asked for, in CSV and in TSV."""
    text = 'text\tlabel\n"a"\tpos\n"b ""c"""\tneg\n'
    assert rows(tmp_path, text, "t.tsv", quoting="none")[0] == ('"a"', "pos")
    assert rows(tmp_path, text, "t.tsv", quoting="cells")[1] == ('b "c"', "neg")
    text = 'text,label\n"good,pos\nbad",neg\n'
    assert rows(tmp_path, text, quoting="none") == [('"good', "pos"), ('bad"', "neg")]
    assert rows(tmp_path, text, quoting="cells") == [("good,pos\nbad", "neg")]
    text = '"text"\t"label"\n"a\tpos\nb\tneg\n'
    assert rows(tmp_path, text, quoting="none") == [('"a', "pos"), ("b", "neg")]


@pytest.mark.parametrize(
    ("lines", "line", "reason"),
    [
        (["a,pos", '"b,neg', "c,pos"], 3, "is not closed"),
        (["a,pos", '"b,neg', '"c, d",pos'], 3, "is not closed"),
        (["a,pos", '"b', 'c",neg', '"Nice" d,pos', "e,neg"], 5, "is not closed"),
        (["a,pos", '"b,neg', "c,neu", 'd",pos', "e,neu"], 3, "includes 3 lines"),
        (["a,pos", '"b,neg', 'c",pos', "d,neg"], 3, "includes 2 lines"),
        (['"b,neg', *["c,pos", "d,neu", "e,neg"] * 9, 'd",pos'], 2, "includes 29 lines"),
        (['a,"pos', 'b,"pos'], 2, "is not closed"),
        (["a,pos", 'b,"c,neg', 'd,e",pos', "f,neg"], 3, "got 3 cells.* includes 2 lines"),
    ],
)
def test_a_quotation_that_swallows_rows_is_blamed_on_its_first_line(
    lines: list[str], line: int, reason: str, tmp_path: Path
) -> None:
    """Rows never vanish: the line where the mark stands is named, and what to write."""
    for delimiter in (",", ";", "|"):
        text = "\n".join(["text,label", *lines, ""]).replace(",", delimiter)
        with pytest.raises(DataError, match=rf"t\.csv: line {line}: .*{reason}") as caught:
            rows(tmp_path, text)
        assert "set quoting: none" in str(caught.value)


def test_texts_of_several_lines_stay_one_text(tmp_path: Path) -> None:
    """A line that looks like a row by chance is no reason to refuse a file of such texts."""
    cells = [("two\nlines", "5"), ("good, but\n4,5", "5"), ("a, b\n\nc", "4"), ("x\ny", "5")]
    out = StringIO()
    csv.writer(out).writerows([("text", "label"), *cells])
    assert rows(tmp_path, out.getvalue().replace("\r\n", "\n")) == cells


TEXT = st.text(st.sampled_from("ab\", ;\t|\n'é"), max_size=8)


@given(st.lists(st.tuples(TEXT, st.sampled_from(["pos", "neg"])), min_size=1, max_size=6))
def test_what_the_standard_library_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str]]
) -> None:
    """Any table that Python's csv writes comes back, cell by cell."""
    folder = tmp_path_factory.mktemp("t", numbered=True)
    for delimiter in (",", ";", "\t", "|"):
        out = StringIO()
        writer = csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writerows([("text", "label"), *cells])
        assert rows(folder, out.getvalue(), quoting="cells") == cells


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
def test_the_delimiter_is_found_where_the_columns_then_exist(
    delimiter: str, name: str, tmp_path: Path
) -> None:
    """Whatever the file's name says."""
    text = "text,label\ngood,pos\nbad,neg\n".replace(",", delimiter)
    assert rows(tmp_path, text, name) == ROWS


def test_another_delimiter_may_be_said(tmp_path: Path) -> None:
    """Any characters; a line that Excel writes for itself is heeded."""
    assert rows(tmp_path, "text:label\ngood:pos\nbad:neg\n", delimiter=":") == ROWS
    assert rows(tmp_path, "sep=;\r\ntext;label\r\ngood;pos\r\nbad;neg\r\n") == ROWS


@pytest.mark.parametrize(
    "delimiter",
    [
        *(
            "^",
            ":",
            "~",
            "#",
            "\x01",
            "\x1f",
            "\uff0c",
            "\uff1b",
            "¦",
            "\\",
            " ",
            "\xa0",
            "\u2028",
        ),
        *(".", "-", "_", "::", "  ", " ||| ", "@@", "->", " : "),
    ],
)
def test_an_unusual_delimiter_is_named_and_the_line_works(delimiter: str, tmp_path: Path) -> None:
    """What the message says to write is YAML, and then the file is read."""
    text = "id\ttext\tlabel\n1\tgood\tpos\n2\tbad\tneg\n".replace("\t", delimiter)
    with pytest.raises(DataError, match=r"header looks separated by .*: set delimiter: ") as no:
        rows(tmp_path, text)
    line = str(no.value).partition("set ")[2]
    assert rows(tmp_path, text, **yaml.safe_load(line)) == ROWS


@pytest.mark.parametrize("text", ["a text label\ngood pos\n", "text-label,x\ngood,pos\n"])
def test_a_mark_that_words_have_parts_no_cells(text: str, tmp_path: Path) -> None:
    """A space or a hyphen is named as the delimiter only where all lines have as many."""
    with pytest.raises(DataError, match=r"line 1: the header has no column 'text'"):
        rows(tmp_path, text)


@given(st.lists(st.tuples(TEXT, st.sampled_from(["pos", "neg"])), min_size=1, max_size=6))
def test_cells_are_parted_by_several_characters(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str]]
) -> None:
    """A delimiter within quotation marks belongs to the text, as with one character."""
    folder = tmp_path_factory.mktemp("t", numbered=True)
    quoted = [[f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row] for row in cells]
    for delimiter in ("::", ";;", "||", "\t\t"):
        text = "\n".join(delimiter.join(row) for row in [["text", "label"], *quoted])
        assert rows(folder, text, quoting="cells", delimiter=delimiter) == cells


@pytest.mark.parametrize(
    ("lines", "added"),
    [
        (["so so food,pos", "bad,neg", "good,pos"], "text,label"),
        (["so so food\tpos", "bad\tneg", "good\tpos"], "text\tlabel"),
        (["so so food::pos", "bad::neg", "good::pos"], "text::label"),
        (["1;so so food", "0;bad", "1;good"], "label;text"),
        (["17,so so food,pos", "18,bad,neg", "19,good,pos"], "column1,text,label"),
        ([f"{'so ' * 9},a", "bad,b"], "text,label"),
    ],
)
def test_a_first_line_that_is_a_row_asks_for_the_names(
    lines: list[str], added: str, tmp_path: Path
) -> None:
    """The line to add is shown; with it the file is read, or the delimiter is named."""
    with pytest.raises(DataError, match="the first line looks like a row") as caught:
        rows(tmp_path, "\n".join(lines))
    assert f"add a line above it: {visible(added)}" in str(caught.value)
    settings = {"delimiter": "::"} if "::" in added else {}
    assert len(rows(tmp_path, "\n".join([added, *lines]), **settings)) == len(lines)


def test_a_line_of_many_marks_is_refused_quickly_and_shortly(tmp_path: Path) -> None:
    """What is no table at all takes no minute and no screen."""
    marks = "".join(chr(33 + (n * n * 7 + n // 3) % 90) for n in range(100_000)).replace('"', "a")
    began = time.monotonic()
    with pytest.raises(DataError, match=r"t\.csv: line 1: ") as caught:
        rows(tmp_path, marks)
    assert time.monotonic() - began < 5
    assert len(str(caught.value)) < 1000


def test_a_title_above_the_names_is_said(tmp_path: Path) -> None:
    """Spreadsheets and exports put lines there, and the line with the names is found."""
    for title in ("Export of 2024\n\n", "# by me, twice\n#\n", "Reviews,,\n,,\n"):
        with pytest.raises(DataError, match=r"t\.csv: line 3: the columns are named here; take"):
            rows(tmp_path, f"{title}text,label,\ngood,pos,\nbad,neg,\n")


@pytest.mark.parametrize(
    "header",
    [
        *("Text,LABEL", "'text','label'", "“text”,“label”", "text:,#label", "the text,my label"),
        *("text\u200b,\ufefflabel", "*text,label", "Text#1,yes label", "txt,labels"),
    ],
)
def test_a_column_that_is_written_otherwise_is_named_and_the_line_works(
    header: str, tmp_path: Path
) -> None:
    """All that is missing is said at once, in YAML that reads the name as it is."""
    text = f"{header}\ngood,pos\nbad,neg\n"
    with pytest.raises(DataError, match=r"line 1: .*; did you mean .*\? set ") as caught:
        rows(tmp_path, text)
    line = str(caught.value).partition("? set ")[2]
    assert rows(tmp_path, text, **yaml.safe_load(f"{{{line}}}")) == ROWS


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("text;label\na;b\n", {"delimiter": ","}, "separated by ';': set delimiter: ';'"),
        ("text\tlabel\na\tb\n", {"delimiter": ";"}, r"separated by '\\t': set delimiter: '\\t'"),
        ("Text;Label\na;b\n", {}, "separated by ';', and then has no column 'text'"),
        ("Text,label\na,b\n", {}, "did you mean 'Text'\\? set text: Text$"),
        (
            "text, Label \na,b\n",
            {},
            "known: Label, text; did you mean 'Label'\\? set label: Label",
        ),
        ("text,lable\na,b\n", {}, "did you mean 'lable'\\? set label: lable"),
        ("body,team\na,b\n", {"text": "Body"}, "did you mean 'body'\\? set text: body"),
        (
            "sentence1,label\na,b\n",
            {"text": "sentence1", "text_pair": "sentence2"},
            "known: label, sentence1$",
        ),
        ('"text,label"\n"a,b"\n', {}, "quotation marks enclose the whole line; take them out"),
        ("a,b\nc,d\n", {}, "the header has no column 'text'; known: a, b$"),
        ("text,label,q\na,b,c\n", {"text_pair": "Q"}, "no column 'Q'.* set text_pair: q"),
        ("text,label,label\na,b,c\n", {}, "two columns are named 'label'"),
    ],
)
def test_a_column_that_is_not_there_is_named_with_the_likely_one(
    text: str, settings: dict[str, str], message: str, tmp_path: Path
) -> None:
    """The message says what to write in the study."""
    with pytest.raises(DataError, match=rf"t\.csv: line 1: .*{message}"):
        rows(tmp_path, text, **settings)


@pytest.mark.parametrize(
    "text",
    [
        "text,label,,\ngood,pos,,\nbad,neg,,\n",
        "text,label,,\ngood,pos\nbad,neg,\n",
        "text,label\ngood,pos,,\nbad,neg\n,,\n,\n",
        "text,label\n\ngood,pos\n   \n\nbad,neg",
        "\n\ntext,label\ngood,pos\nbad,neg\n\n",
        " text , label \ngood, pos\nbad, neg\n",
        '"text", "label"\n"good", "pos"\n"bad", "neg"\n',
        "text,label\rgood,pos\rbad,neg\r",
        "text,label\r\ngood,pos\r\nbad,neg",
        "\ufefftext,label\ngood,pos\nbad,neg\n",
        "text,label\ngood,pos\nbad,neg\n\x1a",
        ",text,label,x,x\n0,good,pos,1,2\n1,bad,neg,3,4\n",
    ],
)
def test_what_spreadsheets_and_editors_leave_does_no_harm(text: str, tmp_path: Path) -> None:
    """Empty columns and rows, blank lines, spaces, any line end, unused columns of one name."""
    assert rows(tmp_path, text) == ROWS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("text,label\na, b,pos\n", "line 2: got 3 cells, .* put a text with ',' in quotation mar"),
        ('text,label\na,pos\n"x\ny",neg\nb\n', "line 5: got 1 cell, the header names 2"),
        (
            "text,label\na,b\nc;d\n",
            "line 3: got 1 cell, .* by ','; this line looks separated by ';'",
        ),
        ("text,label\n'a, b',pos\n", 'line 2: got 3 cells, .* in quotation marks of the form "$'),
        ("text,label\n“a, b”,pos\n", 'line 2: got 3 cells, .* in quotation marks of the form "$'),
        (
            "|text|label|\n|---|:--|\n|a|b|\n",
            "line 2: a rule under the header, as in Markdown; sa",
        ),
        (
            '"te\nxt",label\na,b\n',
            r"line 1: .*known: label, te\\nxt; did you mean .* set text: .te",
        ),
        ('text,label\n "a, b",pos\n', "line 2: got 3 cells.* take out the space before"),
        ('text,label\na, "pos"\n', "line 2: label: got ' \"pos\"'; take out the space before"),
        ("text,label\na,pos\n\nb, \n", "line 4: no class in 'label'; fill it in or"),
    ],
)
def test_a_faulty_row_is_named_by_its_line(text: str, message: str, tmp_path: Path) -> None:
    """Lines are counted as an editor does, those inside a quotation and blank ones too."""
    with pytest.raises(DataError, match=rf"t\.csv: {message}"):
        rows(tmp_path, text)


def test_a_cell_has_no_limit_of_length(tmp_path: Path) -> None:
    """Whole documents are texts; max_length cuts their tokens."""
    text = "good food " * 20_000
    assert rows(tmp_path, f"text,label\n{text},pos\n") == [(text, "pos")]
    assert rows(tmp_path, f"text\tlabel\n{text}\tpos\n", "t.tsv") == [(text, "pos")]


def test_a_mark_that_is_escaped_by_a_backslash_is_named(tmp_path: Path) -> None:
    """Some databases write so; no guess is made at what their backslashes mean."""
    with pytest.raises(DataError, match=r't\.csv: line 3: .* is not closed by \\"; write ""'):
        rows(tmp_path, 'text,label\na,pos\n"he said \\"no\\", twice",neg\n')
