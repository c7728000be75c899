"""Where locks live: the store interface, Redis, memory, and deferred writes."""
