"""Configs trained again on fresh seeds: `search confirm` and `search ablate`."""
