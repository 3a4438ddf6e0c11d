"""Train one run: given a RunSpec, return a RunResult. Knows no search, no tracker, no YAML."""
