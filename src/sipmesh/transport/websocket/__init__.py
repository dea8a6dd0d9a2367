"""SIP over secure WebSocket (RFC 7118): the HTTP request that opens it, its frames, and the link that reads both."""
