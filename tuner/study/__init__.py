"""Run a study: check it, search every cell, confirm the best, record every run."""
