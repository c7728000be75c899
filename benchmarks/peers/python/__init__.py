"""Programs that measure Python libraries; each runs in the environment of its library alone."""
