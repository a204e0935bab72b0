"""Hostile files for every reader, as many as time allows: `python -m tests.fuzz READER SECONDS`.

It is a program and no test. Where atheris is installed it leads to what has not run yet; the same inputs come at random
where it is not.
"""
