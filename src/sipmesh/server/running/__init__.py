"""One running server: its parts, its ports, and the versions, revocations and users that come into force on it."""
