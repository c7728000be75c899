"""The worker: fetches jobs, runs their handlers in processes, and reports the results."""
