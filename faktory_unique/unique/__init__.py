"""`Unique`, the middleware that acquires and releases the locks of jobs."""
