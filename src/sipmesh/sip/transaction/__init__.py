"""Transactions of RFC 3261 section 17 with RFC 6026, as state tables, for reliable transports only.

What belongs into this package: the state that follows each input, and the action. What does not: messages, running timers
and links. The caller has these, and does what :class:`~sipmesh.sip.transaction.state.Do` says.
"""
