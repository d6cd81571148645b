"""The command line: a file for each command, the flags that they share."""
