"""Name the arrays that the statistics take and give."""

from __future__ import annotations

import numpy
import numpy.typing

Floats = numpy.typing.NDArray[numpy.float64]
Booleans = numpy.typing.NDArray[numpy.bool_]
Counts = numpy.typing.NDArray[numpy.int64]
Values = numpy.typing.ArrayLike
"""Numbers of any form that numpy reads: a list, a tuple, an array."""


def floats(values: Values, dimensions: int = 1) -> Floats:
    """Return values as an array of so many dimensions.

    Raises:
        ValueError: They have another number of dimensions.
    """
    array = numpy.asarray(values, dtype=numpy.float64)
    if array.ndim != dimensions:
        raise ValueError(f"values: expected {dimensions} dimensions, got {array.ndim}")
    return array
