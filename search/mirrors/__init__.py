"""Copies of a study in the trackers that people have. The database stays the truth."""
