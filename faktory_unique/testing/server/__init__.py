"""The in-memory Faktory: connections and their commands on top, queues and timed sets below."""
