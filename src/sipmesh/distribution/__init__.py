"""Distributes signed documents from management to all servers, and their status back: an event package (RFC 6665).

It uses only links that the judge has accepted. This package does not decide whether a document is trusted, opens no links and
reads no files. Received documents go to callbacks, and documents to send come from callbacks.
"""
