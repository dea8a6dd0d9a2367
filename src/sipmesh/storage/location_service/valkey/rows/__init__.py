"""The rows of users in Valkey: sealed, read one by one, and the version of each slot."""
