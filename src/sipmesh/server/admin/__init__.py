"""What an operator sees of a running server: control socket commands, status, metrics, expiry warnings."""
