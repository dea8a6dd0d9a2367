"""What each role does with a request: front end, edge, management. An application server runs its own program."""
