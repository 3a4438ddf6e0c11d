"""A store: its folder, its records of runs, and the journal that launchers share. The room's door.

The names of the door are for every room. The files of the journal are public to `tuner.study`,
which writes it, and to `tuner.tracking`, which projects it: `attempts`, `database`,
`definitions`, `journal`, `leases`, `outcome`, `projected`, `runs`, `search_log`.

Each file is loaded when one of its names is first used: to name a store takes no SQLAlchemy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuner import load_on_use

if TYPE_CHECKING:
    from tuner.store.database import RunInterrupted as RunInterrupted
    from tuner.store.full_disk import full_disk_named as full_disk_named
    from tuner.store.full_disk import missing_space as missing_space
    from tuner.store.location import STORE as STORE
    from tuner.store.location import Store as Store
    from tuner.store.location import check_folder as check_folder
    from tuner.store.location import find_store as find_store
    from tuner.store.location import write_whole as write_whole
    from tuner.store.reader import JournalReader as JournalReader
    from tuner.store.reader import check_version as check_version
    from tuner.store.reader import open_journal_reader as open_journal_reader
    from tuner.store.records import Curve as Curve
    from tuner.store.records import Group as Group
    from tuner.store.records import KeptDefinition as KeptDefinition
    from tuner.store.records import LoggedTrial as LoggedTrial
    from tuner.store.records import NoStudies as NoStudies
    from tuner.store.records import Reader as Reader
    from tuner.store.records import RunRecord as RunRecord
    from tuner.store.records import RunState as RunState
    from tuner.store.records import UnknownStudy as UnknownStudy
    from tuner.store.records import definition_id as definition_id
    from tuner.store.records import run_page as run_page
    from tuner.store.records import study_page as study_page
    from tuner.store.search_log import search_name as search_name

_NAMES = {
    "database": ["RunInterrupted"],
    "full_disk": ["full_disk_named", "missing_space"],
    "location": ["STORE", "Store", "check_folder", "find_store", "write_whole"],
    "reader": ["JournalReader", "check_version", "open_journal_reader"],
    "records": [
        "Curve",
        "Group",
        "KeptDefinition",
        "LoggedTrial",
        "NoStudies",
        "Reader",
        "RunRecord",
        "RunState",
        "UnknownStudy",
        "definition_id",
        "run_page",
        "study_page",
    ],
    "search_log": ["search_name"],
}
__all__ = sorted(name for names in _NAMES.values() for name in names)
__getattr__ = load_on_use(__name__, _NAMES)
