"""ACME (RFC 8555) with external account binding, and renewal information (RFC 9773)."""
