"""Private keys on disk: their encryption, and the passphrase."""
