"""The in-memory Faktory: connections, their commands, and the queues and timed sets below them."""
