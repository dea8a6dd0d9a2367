"""Shows the messages of the links while somebody traces. It writes nothing to disk, and decides nothing."""
