"""Trainings without a study: a config again, on other seeds or data, or to see whether it repeats."""
