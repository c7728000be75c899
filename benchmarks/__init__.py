"""Benchmarks: faktory_unique next to code that does the same without it. See README.md here."""
