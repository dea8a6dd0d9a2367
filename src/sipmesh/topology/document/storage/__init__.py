"""Where a topology says that users, registrations and messages are stored, and which servers can share that place.

Not here: the stores themselves (`sipmesh.storage`).
"""
