"""What survives a message: users, bindings, key files, the versions of the topology, the audit log.

In the room: adapters to SQLite, PostgreSQL and files, each behind a small typed class, and the translation of their
errors into ours. Never in the room: decisions about a message (`sipmesh.routing`) or about a peer (`sipmesh.trust`).
"""
