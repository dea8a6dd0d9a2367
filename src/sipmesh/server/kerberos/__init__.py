"""Tickets of a Kerberos realm: who makes a request over HTTP (SPNEGO, RFC 4559)."""
