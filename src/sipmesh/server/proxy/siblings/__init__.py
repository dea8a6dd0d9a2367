"""The other processes of this server: their links are used from here, and ours from there, without TLS in between."""
