"""The client side of Faktory's protocol: `Client`, `Producer`, connections and commands."""
