"""Records on a terminal: live, as lines, as tables."""
