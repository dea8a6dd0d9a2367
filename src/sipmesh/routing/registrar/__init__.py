"""Registrations: the answer to a REGISTER and the bindings that it changes (RFC 3261 section 10, RFC 5626)."""
