"""Two runs side by side, from their records: `search compare`."""
