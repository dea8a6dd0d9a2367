"""TLS links: the one room where bytes enter and leave.

What is here: the reactor (one epoll, in which asyncio waits too), the TLS adapter, contexts and the rehearsal of a new
one, OpenSSL's path check without a handshake, links, the listener, the connector, the pool of links by proved identity,
and the DNS resolver that answers ``routing.locate``.

What may not enter: what a SIP message means, who is trusted (``trust`` judges; a link only asks and obeys), and any
socket that is not TLS. A link hands out no byte before it holds an accepted verdict; that one place is ``link.Link``.
"""
