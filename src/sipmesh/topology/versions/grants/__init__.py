"""Grants: what lets a person or a server read, decide or sign more in the new version than in the version before.

`rules` has a rule for each key of the document. A key without a rule is a grant whenever it changes. Not here: what a version
breaks (`versions.breaking_changes`), and the words for each change (`versions.difference`).
"""
