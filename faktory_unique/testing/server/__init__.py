"""The in-memory Faktory: sessions of text on top, queues and timed sets at the bottom."""
