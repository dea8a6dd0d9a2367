"""The commands that explain: links, status, explain, and the probe behind it."""
