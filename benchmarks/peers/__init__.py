"""Libraries that do the like, each measured by a program of its own in an environment of its own.

This package imports nothing: its programs run where nothing of ours is installed.
"""
