"""One file for each change. None of them is edited once a release has run it."""
