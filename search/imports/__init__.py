"""Runs that were not trained here: read, kept beside the trials, turned into known configs."""
