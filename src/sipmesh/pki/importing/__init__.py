"""CAs of other people: what a file has, the path of a CA to its root, and our issuing CA below theirs."""
