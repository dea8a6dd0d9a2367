"""Calls that rtpengine bridges: which branches need it, their dialogs, and the messages that wait for it."""
