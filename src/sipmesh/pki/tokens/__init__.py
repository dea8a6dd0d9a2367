"""Keys in a token (PKCS #11), such as a hardware security module."""
