"""Whether a trial continues: the pruners by name, and the median rule."""
