"""The topology: the document that lists all servers and partners, and what each server derives from it.

- `document`: the YAML document, its model and schema, its checks, and the files that it names.
- `versions`: published versions: signed documents, the changes between two versions, and breaking changes.
- `expiry`: everything that expires: how soon, and what fails then.
- `view`: the facts for one server: its listeners, its neighbours, the policy of each of its links.

Not here: sockets, clocks (instants are arguments) and private keys (the signing key is an argument). `trust` decides about
peers. `pki` is the CA; neither of `pki` and `topology` imports the other.
"""
