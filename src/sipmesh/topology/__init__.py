"""The topology: the one document that says who is in the network, and what each server derives from it.

- `document`: the YAML document, its model and schema, its checks, and the files that it names.
- `versions`: published versions: what is signed, what changed between two, and which changes break something.
- `expiry`: everything that expires, how near that is, and what stops then.
- `view`: what one server needs: its listeners, its neighbours, the policy of each of its links.

Not here: sockets and clocks (instants are arguments), private keys (the signing key is an argument), decisions about a peer
(`trust` judges), and the CA (`pki` is a neighbour: neither imports the other).
"""
