"""What unique means: policies, settings, and what a job says itself."""
