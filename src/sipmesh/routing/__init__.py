"""What a server does with a message: pure decisions, returned as values.

In the room: tokens for flows and dialogs, the registrar, authentication of users, and the ways a request may take.
Never in the room: sockets, `await`, clocks, randomness, databases. Time and entropy are arguments; what has to happen
(answers, binding changes, forwards) is returned, and the running server carries it out.
"""
