"""`Unique`, its pushes (batch, chunk), its fetched jobs (job_lock) and manual release (admin)."""
