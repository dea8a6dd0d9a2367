"""The servers of a pool in Valkey: which of them there are, their leases, and those that have ended."""
