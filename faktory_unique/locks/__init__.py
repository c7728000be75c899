"""The rules of a lock: key, value, transitions, life cycle and stamp. No I/O, no clock."""
