"""Hold a finished comparison: frames of numbers, and what must be said about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas

NOTHING = "No confirm run has finished or failed yet."
UNFAIR = "Not a fair comparison"
DOUBTFUL = "Doubtful data"
CAPTION = (
    "Scores are on the test split, in points (a loss in nats), mean ± standard deviation of the "
    "sample over n seeds, with the 95% interval of the mean (Student t). Peak memory is the "
    "largest of the training phase over the runs, seconds the mean wall time of a run."
)


@dataclass(frozen=True)
class Note:
    """A sentence that a reader needs; about one task and model, or about the whole."""

    text: str
    task: str | None = None
    model: str | None = None


@dataclass(frozen=True)
class Comparison:
    """Studies compared. Rows are sorted by task, model, arm; fractions and bytes are raw.

    `columns.py` has the columns of the four exported tables; those of the others stand here.
    """

    studies: tuple[str, ...]
    metric: str
    """Metric that arms are compared by, such as `macro_f1`, on the test split."""
    baseline: str | None
    """Arm that every other is paired with; None: all pairs."""
    cells: pandas.DataFrame
    """A row for each cell and metric."""
    pairs: pandas.DataFrame
    """A row for each pair of arms on one task and model, and metric."""
    runs: pandas.DataFrame
    """A row for each confirm run."""
    trials: pandas.DataFrame
    """A row for each search trial."""
    ranks: pandas.DataFrame
    """Across tasks: model, tasks (their number), arm, mean_rank (1 is best), friedman_p,
    critical_difference (of mean ranks; the last two empty below five tasks)."""
    budget: pandas.DataFrame
    """Expected best validation score: task, model, arm, trials (1 to what was spent), seconds
    (mean of so many trials), expected."""
    tradeoff: pandas.DataFrame
    """Accuracy, memory, time: task, model, arm, score, score_low, score_high (95% interval),
    peak_memory_bytes (training, mean over runs), seconds (mean), pareto (boolean),
    pareto_probability (share of resampled seeds in which the arm is in the Pareto set), seeds
    (those that all arms have, which both are over; 0: none, and the set is over all runs), and
    against the baseline, else against the arm that takes most: saved_peak, saved_largest_peak,
    saved_with_eval (shares of the mean training peak, of the largest, of the mean peak of
    training and evaluation)."""
    variance: pandas.DataFrame
    """Where seeds are separate: task, model, arm, source (init, order, data, or several joined
    by +, or rest), variance, share."""
    curves: pandas.DataFrame
    """Over the confirm seeds: task, model, arm, series (`train/loss`, `validation/loss`,
    `validation/<metric>`), step, n, mean, low, high (mean -+ one standard deviation)."""
    references: pandas.DataFrame
    """Published beside ours: source, task, model, method, metric, arm, published_mean,
    published_std, published_n, mean, std, n, difference (ours - theirs), standard_error."""
    flags: tuple[str, ...]
    """What makes the comparison unfair; stands before everything else."""
    notes: tuple[Note, ...]
    """What must be known to read the tables."""
    warnings: tuple[str, ...] = ()
    """What in the data makes numbers doubtful; stands with the flags, before everything else."""
