"""What outlives a message: users, bindings, key files, the versions of the topology, the audit log.

What belongs into this package: adapters to SQLite, PostgreSQL and files, each behind a small typed class, and the translation of
their errors into ours. What does not: decisions about a message (`sipmesh.routing`) or about a peer (`sipmesh.trust`).
"""
