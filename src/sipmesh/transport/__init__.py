"""TLS links: the only package in which SIP bytes enter and leave.

`reactor` is one epoll, in which asyncio waits too. `listener` accepts links, `connector` opens them, `handshake` ends with a
verdict, `link` turns bytes into messages, `pool` finds a link by the identity that its peer proved. `tls` adapts pyOpenSSL.

Not here: the meaning of a SIP message, the decision who is trusted (`trust` judges, a link asks), and any socket without TLS.
A link hands out no byte before it has an accepted verdict: `link.Link` is the one place.
"""
