"""Telephone numbers: which trunk may assert one as its caller, and which trunks carry a call to one."""
