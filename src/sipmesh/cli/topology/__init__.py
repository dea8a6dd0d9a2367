"""The commands about the topology: check, show, publish, partners."""
