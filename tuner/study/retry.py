"""Retry a run that ran out of memory with fewer rows at once, and with the same result."""

from __future__ import annotations

from collections.abc import Mapping

from trainers.contract import RunSpec


def smaller(spec: RunSpec, during: str) -> RunSpec | None:
    """Return the run with fewer rows at once; None where fewer would not help.

    In training the micro-batch is divided by its smallest divisor, which is 2 where it is even,
    and the accumulation multiplied by it: the effective batch, and with it every optimizer step,
    stays as it is. In an evaluation, whose scores do not depend on it, the batch is halved.

    Args:
        spec: The run that ran out of memory.
        during: The phase; loading does not depend on a batch.
    """
    settings = spec.train
    if during == "train" and settings.batch_size > 1:
        divisor = smallest_divisor(settings.batch_size)
        changes = {
            "batch_size": settings.batch_size // divisor,
            "gradient_accumulation": settings.gradient_accumulation * divisor,
        }
    elif during == "eval" and settings.eval_batch_size > 1:
        changes = {"eval_batch_size": settings.eval_batch_size // 2}
    else:
        return None
    return spec.model_copy(update={"train": settings.model_copy(update=changes)})


def retry_params(asked: RunSpec, tried: RunSpec) -> dict[str, str]:
    """Return the changes of `smaller`, such as `retry.batch_size`."""
    before, now = asked.train.model_dump(), tried.train.model_dump()
    return {f"retry.{name}": str(now[name]) for name in now if now[name] != before[name]}


def describe_retry(retry: Mapping[str, str]) -> str:
    """Return the changes of `retry_params` in words; "" where there are none."""
    changes = [f"{name.removeprefix('retry.')} {value}" for name, value in retry.items()]
    return f"with fewer rows at once: {', '.join(changes)}" if changes else ""


def smallest_divisor(number: int) -> int:
    """Return the smallest divisor above 1: the number itself where it is prime."""
    return next((n for n in range(2, int(number**0.5) + 1) if number % n == 0), number)
