"""The way of a SIP message through one server: dispatch, transactions, flows, registrations, digest authentication.

`dispatch` receives every message. `routing` decides, `relay` carries the decision out. `gatekeeper` gives each link its verdict.
"""
