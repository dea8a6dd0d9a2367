"""Forwarding: target set, branches, the copy that goes out, the response context (RFC 3261 section 16)."""
