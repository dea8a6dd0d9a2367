"""`Locations` in Valkey or Redis, for a pool whose servers run on several machines.

Not here: the URL and its settings (`sipmesh.topology.document.storage`), and what a server has in memory
(`sipmesh.server.proxy.registrar`).
"""
