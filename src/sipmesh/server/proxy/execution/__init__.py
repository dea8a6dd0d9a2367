"""What is done with a request after `routing` has decided: it is answered here, or goes to the targets of its user."""
