"""Numbers as text: what is a loss, in nats, and what a share, in points."""

from __future__ import annotations

import pytest

from tuner.report.wording import value_text


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        ("loss", "0.5000"),
        ("test/loss", "0.5000"),
        ("macro_f1", "50.00"),
        ("f1/loss", "50.00"),
        ("f1/weight loss", "50.00"),
    ],
)
def test_a_class_that_is_called_loss_has_scores_in_points(metric: str, text: str) -> None:
    """Only the loss itself is in nats."""
    assert value_text(0.5, metric) == text
