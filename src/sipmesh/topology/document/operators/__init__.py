"""Operators in the document: what they may do in the console, and the keys with which they approve versions."""
