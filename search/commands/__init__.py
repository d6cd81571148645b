"""The commands of `search/cli.py`, a file for each kind; flags and output that they share."""
