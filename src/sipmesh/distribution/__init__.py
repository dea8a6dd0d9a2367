"""How what management has signed gets to every server, and what each server says of it: an event package (RFC 6665).

It runs over links that the judge has accepted and over nothing else. Nothing here decides whether a document is believed, and
nothing here opens a link or touches a file: what came in is handed on, what there is to give is asked for.
"""
