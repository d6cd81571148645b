"""Whether a trial goes on: the pruners by name, and the median rule."""
