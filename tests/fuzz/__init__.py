"""Fuzzing: octets of an attacker, given to each reader of octets that a peer can reach (CONTRIBUTING.md)."""
