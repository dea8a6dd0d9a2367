"""Published versions of the topology: signed documents, what changed between two, and which changes break something."""
