"""The client of Faktory's protocol: connections, commands, and `Producer`."""
