"""The management pool: who leads, how the CA reaches each of its hosts, and how a server joins it."""
