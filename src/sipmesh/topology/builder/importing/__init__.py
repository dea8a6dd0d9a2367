"""Readers of other systems' configuration: what a file says, as pools and servers, and what could not be taken."""
