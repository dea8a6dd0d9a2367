"""A running server: it carries out what `routing` decides, over the links of `transport`.

In the room: the dispatch of messages, exchanges and their timers, sessions, logins, the gatekeeper that judges links,
reloading, the certificates it shows, warnings of what ends, the control socket, figures for monitoring, logs. Never in the
room: SIP grammar, trust decisions, commands for a terminal.
"""
