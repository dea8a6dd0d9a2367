"""Private keys where they lie: encrypted, and opened with a passphrase."""
