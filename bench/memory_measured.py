"""Write measured memory beside predicted memory: the page's first section."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from bench.memory_cells import Cell

GB = 1e9


def measured_section(found: Sequence[Cell]) -> Iterator[str]:
    """Compare with the CPU allocator's own record, and with the whole process."""
    errors = [abs(cell.error) for cell in found]
    whole = [cell for cell in found if cell.resident]
    constant = f"{found[0].framework / GB:.2f} GB"
    resident, growth = ([c.resident_error for c in whole], [c.growth_error for c in whole])
    left = [c.resident - c.predicted - c.baseline for c in whole]
    yield ""
    yield f"## Against the CPU allocator's own record: {len(found)} real runs"
    yield ""
    yield "Each cell is a real run of `train`, of a model 128 wide with 2 layers. Measured is what"
    yield "torch's profiler notes of every allocation and release"
    yield "(`measure: allocator`), which knows nothing of the tracer."
    yield ""
    yield f"- mean absolute error {statistics.fmean(errors):.2%}, worst {max(errors):.2%}"
    yield f"- VmHWM of {len(whole)} of them, each in a process of its own, is compared with"
    yield f"  prediction + {constant}, the constant for what a process has of its own: error"
    yield f"  {_spread(resident)}. VmHWM also counts the pages of"
    yield "  library files, which the kernel can take back, so a cap leaves them out. With"
    yield "  what the process held before it had a model, such pages among it, in the constant's"
    yield f"  place: {_spread(growth)}, {statistics.fmean(left) / 1e6:.0f} MB: pages that training"
    yield "  touches first, and what malloc keeps. No trace of tensors has those."
    yield ""
    columns = "model | method | batch x length | checkpointing | precision | else | predicted MB"
    yield f"| {columns} | allocator MB | error | VmHWM MB | error |"
    yield "|---|---|---|---|---|---|---:|---:|---:|---:|---:|"
    for cell in found:
        batch, length, checkpointing, precision = cell.variant
        yield (
            f"| {cell.model} | {cell.method} | {batch} x {length} "
            f"| {'yes' if checkpointing else 'no'} | {precision} | {cell.more} "
            f"| {cell.predicted / 1e6:.1f} | {cell.allocator / 1e6:.1f} | {cell.error:+.2%} "
            f"| {_resident(cell)} |"
        )


def _spread(errors: Sequence[float]) -> str:
    mean, least, most = statistics.fmean(errors), min(errors), max(errors)
    return f"{mean:+.1%} in the mean, from {least:+.1%} to {most:+.1%}"


def _resident(cell: Cell) -> str:
    return f"{cell.resident / 1e6:.0f} | {cell.resident_error:+.1%}" if cell.resident else " | "
