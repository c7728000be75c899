"""Unique jobs for open-source Faktory."""
