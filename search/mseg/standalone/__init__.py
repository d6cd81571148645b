"""Trained models as files that work without this program."""
