"""Decisions about messages: pure functions that return values.

- `roles`: front end, edge, management: each decides about a request and returns an `outcome`.
- `proxy`: forwarding (RFC 3261 section 16): target set, branches, response context.
- `passport`: signed calls with partners (RFC 8224, RFC 8225).
- `media`: session descriptions, and whether they keep the media secret (docs/media.md).
- `identity`: the sender of a message, dialog tokens, the border table (docs/identity.md).
- `registrar`, `authentication`: REGISTER and digest authentication.

Not here: sockets, `await`, clocks, randomness, databases. Time and entropy are arguments. Answers, binding changes and
forwards are returned, and the server carries them out.
"""
