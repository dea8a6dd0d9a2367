"""Decide who the peer of a link is, and which identities it may assert.

- `judgement`: the judge: evidence and policy in, a verdict with every finding out.
- `policy`, `trusted_peers`, `trusted_peer`, `authority`: what the topology says about one link and its peers.
- `path`, `revocation`, `x509`: certification paths, CRLs and OCSP, certificates.
- `evidence`, `finding`, `code`, `verdict`: the values that go in and come out.

Not here: sockets, files, clocks, TLS handshakes, the topology document. The time and the policy are arguments.
"""
