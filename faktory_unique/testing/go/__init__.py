"""What the server has of Go's standard library: JSON, times, quotes, and the words of errors."""
