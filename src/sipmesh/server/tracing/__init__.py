"""Shows the messages of the links while an operator traces. It writes nothing to disk, and decides nothing."""
