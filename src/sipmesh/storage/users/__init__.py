"""Users: the database of their addresses and password verifiers, and the documents that carry them to the servers of a pool.

Not here: digest authentication itself (`sipmesh.routing.authentication`).
"""
