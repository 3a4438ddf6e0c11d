"""Train one run: the loop, its ranks, its batches, and what is kept of it."""
