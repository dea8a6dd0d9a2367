"""SCIM 2.0 on management: clients of identity providers write the users and groups (RFC 7643, RFC 7644).

What does not belong here: which step makes a user what an entry says (`server.directory`), and how users are stored.
"""
