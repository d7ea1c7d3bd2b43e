"""One module per noun of the command line; `scripts/cli.py` gives each its name."""
