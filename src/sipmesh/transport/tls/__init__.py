"""TLS over pyOpenSSL: contexts, the adapter for one connection, and checks of a new certificate before it is presented."""
