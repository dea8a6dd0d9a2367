"""Records of calls and messages: their form, the journal of each server, and the database of management."""
