"""Policies (what "unique" means for a jobtype), settings, and a job's own options."""
