"""Rules of a user's calls: which callers ring, for how long, and where a call goes instead.

What belongs here: the rules as values, what they say of one call, and the header fields that tell who has forwarded it
(RFC 7044, RFC 5806). What does not: where the next user is, which `server.proxy.serving` finds.
"""
