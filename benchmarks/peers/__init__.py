"""Peers: other libraries for unique jobs or locks, each measured by a program of its own.

Each program has its own environment. `process.py` and `rows.py` run the programs, and belong to our
environment. The programs in `python/` run without our packages, so this file imports nothing.
"""
