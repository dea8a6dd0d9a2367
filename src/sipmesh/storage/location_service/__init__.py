"""The location service (RFC 3261 10): where users are registered, shared by the servers of one host.

Not here: which registrations are allowed (`sipmesh.routing.registrar`),
and what a server has in memory (`sipmesh.server.proxy.registrar`).
"""
