"""DNSSEC (RFC 4033 to 4035, 5155, 6840): what an answer of DNS proves below a trust anchor that the operator has named.

What belongs into this package: signatures, keys, denial of existence, and the way down from the anchor. There is no socket and no
clock here: `validation` yields the questions, and is sent the messages.
"""
