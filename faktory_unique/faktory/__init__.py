"""Client, Producer and Consumer: pyfaktory's, with middleware and answers that can be trusted."""
