"""The search for the messages that cost most for each of their octets, for each reader and judge of what a peer sends."""
