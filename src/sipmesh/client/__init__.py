"""A small user agent: for the client commands, the demo, `explain`, monitoring and tests.

In the room: opening a link to a server by name and judging its certificate, registering, messages, calls, and answering what
comes in. Never in the room: media (SDP is only carried), anything a server decides, and printing.
"""
