"""A root whose key is kept elsewhere, and the cross-certificate for the next generation."""
