"""Folders of earlier releases, and earlier releases beside this one."""
