"""Publishing: every way to add a signed version to the history, the checks for all of them, and what has to follow."""
