"""Measure a run: seconds, peaks of memory, and what is still free."""
