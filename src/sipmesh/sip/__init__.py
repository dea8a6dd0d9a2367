"""Bytes to messages and back: SIP's grammar, URIs, header fields, framing, digest and transactions.

What is in the room: everything that can be said about a SIP message without knowing who sent it. Wire is ``bytes``;
header names are lower-case long names (``"via"``, ``"call-id"``); values are ``str`` (UTF-8 with surrogateescape, so
that every byte survives). What may not enter: sockets, clocks, randomness, and any opinion on trust, users or routes.
"""
