"""Transactions: RFC 3261 section 17 with RFC 6026's correction, as tables, for reliable links only.

What is in the room: which state follows which input, and what is to be done. What may not enter: messages in flight,
timers that run, links; the caller keeps those and does what a :class:`~sipmesh.sip.transaction.state.Do` says.
"""
