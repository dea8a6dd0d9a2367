"""The enterprise CA of an organisation: a root and an issuing CA, in one folder.

- `issuance`: what each kind of certificate contains, its checks, and its signature.
- `ledger`: the journal of all signatures. `issuance.signer`: the only module that uses the private keys of the CA.
- `crl`: CRLs. `files`: files and keys on disk. `status`: what an operator sees.
- `creation`: a new CA. `revoker`: what revokes certificates. `authority`: the CA, which uses all of these.

What does not belong into this package: sockets, clocks (instants are arguments), the topology (callers pass the names of a
server), and code that can make invalid certificates. Tests of attacks make these with other code.
"""
