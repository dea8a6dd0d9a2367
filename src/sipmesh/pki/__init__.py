"""The enterprise CA: one authority for an organisation, a root and an issuing CA below it, in one folder.

In the room: what each kind of certificate looks like (`profiles`), what none may look like (`lint`), the journal of
every signature (`ledger`), the only place that touches the CA's private keys (`signer`), revocation lists (`crl`),
files and keys on disk (`files`), what an operator sees (`status`), and the CA that ties them together (`authority`).

May not enter: sockets, clocks (instants are arguments), the topology (callers bring the names that it gives a server),
and anything that can make a bad certificate: what attacks need is forged elsewhere, with other code.
"""
