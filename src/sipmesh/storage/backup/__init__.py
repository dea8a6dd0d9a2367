"""Backup and restore of an organisation, in one encrypted file."""
