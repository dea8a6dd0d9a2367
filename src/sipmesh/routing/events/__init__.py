"""Event state (RFC 6665) and messages for users who are not registered (RFC 3428): decisions and documents, without I/O."""
