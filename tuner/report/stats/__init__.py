"""Statistics over seeds: pure functions over arrays, which know nothing of runs.

Importing this loads numpy; scipy is loaded by the functions that need it. The tests compare with
statsmodels, which takes a second to load: too long for a report.
"""

from tuner.report.stats.candidates import bca_interval, logit_t_interval, percentile_interval
from tuner.report.stats.dependence import independent_groups
from tuner.report.stats.interval import (
    Interval,
    Intervals,
    Summary,
    mean_interval,
    summarise,
    t_interval,
)
from tuner.report.stats.noise import (
    Noise,
    binomial_interval,
    binomial_std,
    bootstrap_noise,
    confusion_counts,
)
from tuner.report.stats.over_tasks import (
    OverTasks,
    TaskDifference,
    geometric_mean,
    on_tasks_like_them,
    on_these_tasks,
)
from tuner.report.stats.paired import PairedComparison, compare_pairs, paired_differences
from tuner.report.stats.pareto import Steps, pareto, pareto_probability
from tuner.report.stats.power import (
    noether_pairs,
    paired_power,
    seeds_needed,
    seeds_to_detect,
    sign_flip_power,
)
from tuner.report.stats.rank_tests import (
    critical_difference,
    friedman_p,
    mean_ranks,
    nemenyi_p,
    not_separable_groups,
)
from tuner.report.stats.row_error import difference_row_error
from tuner.report.stats.sign_flip import sign_flip_p
from tuner.report.stats.validation_curve import Swap, expected_best, expected_seconds, swaps
from tuner.report.stats.variance_components import variance_components
from tuner.report.stats.verdict import (
    SeedsNeeded,
    Verdict,
    collapse_limit,
    difference_interval,
    judge,
)

__all__ = [
    "Interval",
    "Intervals",
    "Noise",
    "OverTasks",
    "PairedComparison",
    "SeedsNeeded",
    "Steps",
    "Summary",
    "Swap",
    "TaskDifference",
    "Verdict",
    "bca_interval",
    "binomial_interval",
    "binomial_std",
    "bootstrap_noise",
    "collapse_limit",
    "compare_pairs",
    "confusion_counts",
    "critical_difference",
    "difference_interval",
    "difference_row_error",
    "expected_best",
    "expected_seconds",
    "friedman_p",
    "geometric_mean",
    "independent_groups",
    "judge",
    "logit_t_interval",
    "mean_interval",
    "mean_ranks",
    "nemenyi_p",
    "noether_pairs",
    "not_separable_groups",
    "on_tasks_like_them",
    "on_these_tasks",
    "paired_differences",
    "paired_power",
    "pareto",
    "pareto_probability",
    "percentile_interval",
    "seeds_needed",
    "seeds_to_detect",
    "sign_flip_p",
    "sign_flip_power",
    "summarise",
    "swaps",
    "t_interval",
    "variance_components",
]
