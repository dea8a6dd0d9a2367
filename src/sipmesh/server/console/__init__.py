"""The web console and the HTTP API of a management server: they do what the commands do, by the same functions."""
