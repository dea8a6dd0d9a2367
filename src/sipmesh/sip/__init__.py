"""SIP messages: grammar, URIs, header fields, framing, digest authentication and transactions.

What belongs into this package: everything that can be said about a message without knowing its sender. What does not:
sockets, clocks, randomness, and decisions about trust, users or routes.

Messages on the wire are ``bytes``. Header names are lower-case long names (``"via"``, ``"call-id"``). Values are ``str``
(UTF-8 with surrogateescape, so that each octet is preserved).
"""
