"""The transactions of the proxy: received requests, sent branches, and the request of each branch (RFC 3261 16 and 17)."""
