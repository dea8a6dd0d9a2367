"""Checks of how the parts of a topology agree with each other. Each reports all its problems with file and line."""
