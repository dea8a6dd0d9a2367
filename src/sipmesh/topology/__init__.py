"""The topology: the one document that says who is in the network, and what each server derives from it.

In the room: the YAML document with its places (`source`), its model (`model`, `names`), what is wrong with it (`shape`,
`validate`), the anchors and lists it names (`material`), loading (`document`), edits that keep the operator's comments
(`edit`), the published schema (`schema`), what one server needs to know (`listeners`, `view`), what ends, when, and
what stops then (`inventory`, `level`, `stops`, `paper`), a version as it is published and signed (`publication`, `jose`,
`strict`), and what changes from one version to the next, in words, and what that would break (`difference`, `dangers`).

May not enter: sockets, clocks (instants are arguments), files of private keys (the one that signs is handed in, and kept
nowhere), decisions about a peer (`trust` judges), and the CA (`pki` is a neighbour that neither imports nor is imported).
"""
