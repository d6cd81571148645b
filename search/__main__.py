"""`python -m search`: the command line without its script. Workers are started this way."""

from search.cli.app import main

main()
