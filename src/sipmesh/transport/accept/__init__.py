"""Accepted connections: the listening socket, the connections that wait, and the places for their handshakes."""
