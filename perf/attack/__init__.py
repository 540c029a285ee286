"""Attacks on the command line: damaged inputs of every kind, and runs that are killed. ``python -m perf.attack --help``."""
