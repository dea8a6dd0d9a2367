"""Publishing: every way into the history of signed versions, the checks that all of them pass, and what follows."""
