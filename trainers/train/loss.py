"""The training loss, a mean over all rows of an optimizer step; and the check for NaN logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from trainers.errors import Diverged

if TYPE_CHECKING:
    import torch

Loss = Callable[..., "torch.Tensor"]


def mean_loss(label_smoothing: float) -> Loss:
    """Return the cross entropy for the Trainer's `compute_loss_func`.

    By default, transformers' sequence classifiers return the mean of a micro-batch, while
    the Trainer takes it as a share of the step's mean, so that gradients grow with the number of
    accumulated micro-batches. Here each micro-batch adds its sum over the rows of the step.

    Args:
        label_smoothing: Share of the target spread evenly over the classes (Szegedy et al. 2016).
    """
    from torch.nn.functional import cross_entropy

    def loss(
        outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        total = cross_entropy(
            outputs["logits"].float(), labels, label_smoothing=label_smoothing, reduction="sum"
        )
        rows = labels.shape[0] if num_items_in_batch is None else num_items_in_batch
        return total / rows

    return loss


def check_finite(logits: Any, where: str) -> None:
    """Refuse logits that are not finite: argmax would return the first class for them.

    Args:
        logits: Array of shape (rows, labels).
        where: Ends the message, such as "at epoch 2".

    Raises:
        Diverged: Some are NaN or infinite.
    """
    import numpy

    wrong = int((~numpy.isfinite(logits)).any(axis=-1).sum())
    if wrong:
        raise Diverged(f"the logits of {wrong} of {len(logits)} rows are not finite {where}")
