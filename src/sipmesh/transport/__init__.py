"""TLS links: the only package in which SIP bytes enter and leave.

`reactor` is one epoll, in which asyncio waits too. `accept` accepts links, and `connector` opens links. `handshake` ends with a
verdict. `link` turns bytes into messages. `pool` finds a link by the identity that its peer proved. `tls` adapts pyOpenSSL.

Not here: the meaning of a SIP message, the decision whom to trust (a link asks `trust`), and any socket without TLS.
A link delivers no byte before it has an accepted verdict: only `link.Link` delivers bytes.
"""
