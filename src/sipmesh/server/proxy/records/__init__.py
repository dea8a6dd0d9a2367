"""Records of calls and messages, made from what the transactions and dialogs of this server know. Nothing is written here."""
