"""Estimate what a study takes before it runs: time in `time`, memory in `memory`."""
