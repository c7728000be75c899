"""Programs that measure Python peers; each runs in the environment of its peer alone."""
