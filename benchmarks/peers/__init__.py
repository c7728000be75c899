"""Libraries that do the like, each measured by a program of its own in an environment of its own.

`process.py` and `rows.py` run them and belong to our environment. What is in `python/` runs where
nothing of ours is installed, so this file, which they import, imports nothing.
"""
