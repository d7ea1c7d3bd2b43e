"""Runs on real data that other people published, and comparison with the numbers they published.

Each module takes the folder of data sets and prints markdown tables; `docs/real-data.md` quotes them, `tests/real`
calls the same functions.
"""
