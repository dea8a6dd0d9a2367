"""The whole network in one process on virtual time: every event follows from one seed.

The servers are `sipmesh.server.service.Service`, as `sipmesh serve` runs them. Only sockets, TLS, DNS, clocks, entropy and the
failures of disks are virtual. See docs/simulation.md.
"""
