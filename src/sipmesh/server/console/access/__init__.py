"""Who makes a request to the console: connections, log-ins, sessions, tokens, and how many requests an address may make."""
