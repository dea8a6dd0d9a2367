"""A small user agent: for the client commands, the demo, `explain`, monitoring and tests.

What belongs into this package: opening a link to a server by name and judging its certificate, registrations, messages, calls,
and answers to requests. What does not: media (SDP is only carried), anything that a server decides, and printing.
"""
