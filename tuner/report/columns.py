"""Name the columns of the exported tables, with their units and meanings: the only list."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    dtype: str
    """pandas' name of its type: string, float64, Int64 or boolean."""
    meaning: str
    """What it holds, with the unit."""


_CELL = (
    Column("task", "string", "the task's name"),
    Column("model", "string", "the pretrained model's name"),
)
_ARM = Column("arm", "string", "the arm's name; `arm [study]` where two studies share it")

CELLS: tuple[Column, ...] = (
    Column("study", "string", "the study that the runs belong to"),
    *_CELL,
    _ARM,
    Column("method", "string", "what is trained: the method's kind"),
    Column("metric", "string", "test metric; `unseen/`: without the rows that train has"),
    Column("n", "Int64", "finished confirm runs, one a seed, that have the metric"),
    Column("mean", "float64", "mean over the seeds, as a fraction (loss: nats)"),
    Column("std", "float64", "standard deviation of the sample (n - 1)"),
    Column("ci_low", "float64", "lower end of the 95% interval of the mean"),
    Column("ci_high", "float64", "upper end of the 95% interval of the mean"),
    Column("median", "float64", "median over the seeds"),
    Column("min", "float64", "smallest value"),
    Column("max", "float64", "largest value"),
    Column(
        "test_noise_std",
        "float64",
        "standard error of one run, its test rows a sample; main scores",
    ),
    Column("failed_runs", "Int64", "confirm runs that failed or diverged and never finished"),
    Column("collapsed_runs", "Int64", "finished runs no more accurate than the majority class"),
    Column("planned_runs", "Int64", "confirm runs that the study wants"),
    Column("reason", "string", "why confirm runs are missing, where that is known"),
    Column(
        "left_out_runs", "Int64", "confirm runs of the cell that its study does not define now"
    ),
    Column("trials", "Int64", "configurations that the search tried; 0: not searched"),
    Column("points", "Int64", "different ones among them: one that came again cost nothing"),
    Column("seconds", "float64", "wall seconds of a run, all phases, mean"),
    Column("peak_memory_bytes", "Int64", "peak of the training phase, largest over the runs"),
    Column("peak_memory_mean_bytes", "float64", "peak of the training phase, mean over the runs"),
    Column("peak_with_eval_bytes", "float64", "peak of training and evaluation, mean over runs"),
    Column("trained_parameters", "Int64", "scalars that receive a gradient"),
    Column("adapter_parameters", "Int64", "those outside the classification head"),
    Column("head_parameters", "Int64", "those in the classification head"),
    Column("parent_run_id", "string", "MLflow run of the configuration"),
    Column("run_ids", "string", "MLflow runs, in the order of seeds, a space between"),
)

PAIRS: tuple[Column, ...] = (
    *_CELL,
    Column("metric", "string", "metric on the test split"),
    Column("arm_a", "string", "first arm"),
    Column("arm_b", "string", "second arm, or the baseline"),
    Column("n", "Int64", "independent seeds that both have; runs with a common seed count once"),
    Column("mean_difference", "float64", "mean of a - b over these seeds"),
    Column("std_difference", "float64", "standard deviation of the differences (n - 1)"),
    Column("ci_low", "float64", "lower end of the 95% interval of the mean difference"),
    Column("ci_high", "float64", "upper end of it"),
    Column("p", "float64", "exact two-sided sign-flip p"),
    Column("p_holm", "float64", "p after Holm's correction over the family"),
    Column("family_size", "Int64", "pairs that were corrected together: all of this metric"),
    Column("least_p", "float64", "smallest p that n pairs can give, before correction: 2/2^n"),
    Column("verdict", "string", "a better, b better, not separable, or too few seeds"),
    Column("probability_a_better", "float64", "share of seeds on which a is better, ties half"),
    Column("probability_low", "float64", "lower end of its exact 95% interval"),
    Column("probability_high", "float64", "upper end of it"),
    Column("cohens_d", "float64", "mean difference in standard deviations of the differences"),
    Column("further_seeds", "Int64", "seeds to add for 80% power, if the differences go on so"),
    Column("unpaired_a", "string", "seeds (init/order/data) that only a has, a space between"),
    Column("unpaired_b", "string", "seeds that only b has"),
    Column("run_ids_a", "string", "MLflow runs of a, pair by pair"),
    Column("run_ids_b", "string", "MLflow runs of b, pair by pair"),
)

RUNS: tuple[Column, ...] = (
    Column("study", "string", "the study"),
    *_CELL,
    _ARM,
    Column("state", "string", "finished, failed or diverged"),
    Column("reason", "string", "why it did not finish"),
    Column("init_seed", "Int64", "seed of new weights and dropout"),
    Column("order_seed", "Int64", "seed of the order of training rows"),
    Column("data_seed", "Int64", "seed of the draw of rows and of the validation split"),
    Column("precision", "string", "number format of the forward pass"),
    Column("device", "string", "GPU or CPU by its name"),
    Column("accuracy_low", "float64", "lower end of this run's 95% Wilson interval of accuracy"),
    Column("accuracy_high", "float64", "upper end of it: the test rows as a sample"),
    Column("digest", "string", "identity of the RunSpec"),
    Column("parent_run_id", "string", "MLflow run of the configuration"),
    Column("run_id", "string", "MLflow run"),
)
"""Then a column for each metric of the runs but the training curves, by name."""

TRIALS: tuple[Column, ...] = (
    Column("study", "string", "the study"),
    *_CELL,
    _ARM,
    Column("trial", "Int64", "number of the trial, from 0"),
    Column("state", "string", "finished, pruned, failed, diverged or killed"),
    Column("reason", "string", "why it did not finish"),
    Column("chosen", "boolean", "whether its configuration was confirmed"),
    Column("metric", "string", "validation metric of the study"),
    Column("score", "float64", "its value, mean over the search seeds; if pruned, the last seen"),
    Column("seconds", "float64", "wall seconds of its runs, summed"),
    Column("seeds", "Int64", "runs that it took"),
    Column("peak_memory_bytes", "Int64", "peak of the training phase, largest over its runs"),
    Column("parent_run_id", "string", "MLflow run of the configuration"),
    Column("run_ids", "string", "MLflow runs of the seeds, a space between"),
)
"""Then a column for each field that some search varies, such as `train.learning_rate`."""


def columns_page() -> str:
    """Return docs/report-columns.md."""
    lines = [
        "# Columns of the exported tables",
        "",
        "`tuner report STUDY --output DIR` writes them as CSV; `report.json` has the same rows",
        "and names. Scores are fractions, memory is in bytes, time in seconds. A missing value is",
        "empty (JSON: null). Made from `tuner/report/columns.py`:",
        "",
        "```",
        "python -c 'from tuner.report.columns import columns_page as p; print(p(), end=\"\")'",
        "```",
    ]
    for name, columns, more in _TABLES:
        lines += ["", f"## {name}.csv", "", "| column | type | meaning |", "| --- | --- | --- |"]
        lines += [f"| `{c.name}` | {c.dtype} | {c.meaning} |" for c in columns]
        lines += [f"| {more} |  |  |"] if more else []
    return "\n".join([*lines, ""])


_TABLES = (
    ("cells", CELLS, ""),
    ("pairs", PAIRS, ""),
    ("runs", RUNS, "then every metric of the runs but the training curves, by name"),
    ("trials", TRIALS, "then every field that some search varies, such as `train.learning_rate`"),
)
