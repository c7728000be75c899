"""Where locks live: the store contract, Redis, memory, and deferred writes."""
