"""A study's YAML file, its fields and its cells. The door of the room.

Each file is loaded when one of its names is first used: a command that needs only a password
hidden does not wait for pydantic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuner import load_on_use

if TYPE_CHECKING:
    from tuner.config.cells import Cell as Cell
    from tuner.config.cells import Digests as Digests
    from tuner.config.cells import Phase as Phase
    from tuner.config.cells import cell_label as cell_label
    from tuner.config.cells import plan as plan
    from tuner.config.deepspeed import describe_ds_config as describe_ds_config
    from tuner.config.deepspeed import ds_configs as ds_configs
    from tuner.config.definition import Definition as Definition
    from tuner.config.definition import add_seeds as add_seeds
    from tuner.config.definition import dump_definition as dump_definition
    from tuner.config.definition import read_definition as read_definition
    from tuner.config.definition import with_added_seeds as with_added_seeds
    from tuner.config.executor import EXECUTORS as EXECUTORS
    from tuner.config.executor import ExecutorSettings as ExecutorSettings
    from tuner.config.executor import read_executor as read_executor
    from tuner.config.faults import fault_lines as fault_lines
    from tuner.config.load import DATA_DIR as DATA_DIR
    from tuner.config.load import dump_study as dump_study
    from tuner.config.load import fixed_at as fixed_at
    from tuner.config.load import load_study as load_study
    from tuner.config.load import parse_study as parse_study
    from tuner.config.passwords import Login as Login
    from tuner.config.passwords import hide_password as hide_password
    from tuner.config.passwords import hide_passwords as hide_passwords
    from tuner.config.passwords import split_login as split_login
    from tuner.config.samplers import STATEFUL as STATEFUL
    from tuner.config.samplers import Sampler as Sampler
    from tuner.config.search import Objective as Objective
    from tuner.config.search import rank_trials as rank_trials
    from tuner.config.shipped import find_reference as find_reference
    from tuner.config.shipped import is_study_file as is_study_file
    from tuner.config.shipped import shipped_folder as shipped_folder
    from tuner.config.shipped import study_names as study_names
    from tuner.config.sizes import parse_bytes as parse_bytes
    from tuner.config.sizes import show_bytes as show_bytes
    from tuner.config.spaces import Choice as Choice
    from tuner.config.spaces import Dimension as Dimension
    from tuner.config.spaces import Point as Point
    from tuner.config.spaces import Value as Value
    from tuner.config.spaces import count_points as count_points
    from tuner.config.spaces import describe_space as describe_space
    from tuner.config.spaces import points_to_try as points_to_try
    from tuner.config.spaces import position as position
    from tuner.config.spaces import suggest as suggest
    from tuner.config.spaces import varied as varied
    from tuner.config.study import StudyConfig as StudyConfig

_NAMES = {
    "cells": ["Cell", "Digests", "Phase", "cell_label", "plan"],
    "deepspeed": ["describe_ds_config", "ds_configs"],
    "definition": [
        *("Definition", "add_seeds", "dump_definition", "read_definition", "with_added_seeds"),
    ],
    "executor": ["EXECUTORS", "ExecutorSettings", "read_executor"],
    "faults": ["fault_lines"],
    "load": ["DATA_DIR", "dump_study", "fixed_at", "load_study", "parse_study"],
    "passwords": ["Login", "hide_password", "hide_passwords", "split_login"],
    "samplers": ["STATEFUL", "Sampler"],
    "search": ["Objective", "rank_trials"],
    "shipped": ["find_reference", "is_study_file", "shipped_folder", "study_names"],
    "sizes": ["parse_bytes", "show_bytes"],
    "spaces": [
        *("Choice", "Dimension", "Point", "Value"),
        *("count_points", "describe_space", "points_to_try", "position", "suggest", "varied"),
    ],
    "study": ["StudyConfig"],
}
__all__ = sorted(name for names in _NAMES.values() for name in names)
__getattr__ = load_on_use(__name__, _NAMES)
