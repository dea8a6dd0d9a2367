"""The way of a SIP message through one server: dispatch, transactions, flows, registrations, digest authentication.

`dispatch` receives every message. `routing` decides, `executor` and `relay` carry the decision out. `gatekeeper` gives each link
its verdict, `login` has users prove who they are. `control_plane` says what is handed over of messages about the network itself.
"""
