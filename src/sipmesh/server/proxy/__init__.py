"""The way of a SIP message through one server: dispatch, transactions, flows, registrations, digest authentication.

`dispatch` receives every message. `routing` decides; `execution` and `relay` carry out the decision. `gatekeeper` gives each link
its verdict. `links` has the begin and the end of links. `login` authenticates users. `registrar` has their registrations.
`liveness` knows which servers do not answer. `control_plane` is the interface for messages about the network itself, and
`outside` has who works with a server from outside.
"""
