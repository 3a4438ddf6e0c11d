"""Read, draw, check and encode the rows of tasks; find and download their files."""

from trainers.data.class_names import refuse_labels, refuse_one_a_row, refuse_unlabelled
from trainers.data.decode import read_text
from trainers.data.draw import (
    Cut,
    FewShot,
    carve,
    check_enough,
    draw_few_shot,
    shuffled,
    take_evenly,
)
from trainers.data.encode import EncodedTask, encode_task, highest_token
from trainers.data.findings import Finding
from trainers.data.formats import Dialect, Format, column_cells, names_a_file, read_table
from trainers.data.headers import Quoting
from trainers.data.hub_lookup import is_kept, look_up_data, look_up_model
from trainers.data.lengths import TaskLengths, encoded_lengths, measure_lengths
from trainers.data.load import TaskData, leaked_test_rows, load_task
from trainers.data.parcel import ROWS_FILE, pack_rows, read_rows, unpack_rows
from trainers.data.paths import find_path, likely_cause, missing_message
from trainers.data.separated import split_lines
from trainers.data.sources import fetch, locate
from trainers.data.survey import (
    READ_PREFIX,
    WARNING_PREFIX,
    SplitLengths,
    Survey,
    splits_of,
    survey_lengths,
    survey_rows,
)
from trainers.data.tables import (
    Columns,
    Misread,
    Table,
    check_classes,
    class_name,
    is_gap,
    label_order,
    make_examples,
    no_class,
    setting_line,
    shown_cell,
)
from trainers.data.texts import Texts, read_texts

__all__ = [
    "READ_PREFIX",
    "ROWS_FILE",
    "WARNING_PREFIX",
    "Columns",
    "Cut",
    "Dialect",
    "EncodedTask",
    "FewShot",
    "Finding",
    "Format",
    "Misread",
    "Quoting",
    "SplitLengths",
    "Survey",
    "Table",
    "TaskData",
    "TaskLengths",
    "Texts",
    "carve",
    "check_classes",
    "check_enough",
    "class_name",
    "column_cells",
    "draw_few_shot",
    "encode_task",
    "encoded_lengths",
    "fetch",
    "find_path",
    "highest_token",
    "is_gap",
    "is_kept",
    "label_order",
    "leaked_test_rows",
    "likely_cause",
    "load_task",
    "locate",
    "look_up_data",
    "look_up_model",
    "make_examples",
    "measure_lengths",
    "missing_message",
    "names_a_file",
    "no_class",
    "pack_rows",
    "read_rows",
    "read_table",
    "read_text",
    "read_texts",
    "refuse_labels",
    "refuse_one_a_row",
    "refuse_unlabelled",
    "setting_line",
    "shown_cell",
    "shuffled",
    "split_lines",
    "splits_of",
    "survey_lengths",
    "survey_rows",
    "take_evenly",
    "unpack_rows",
]
