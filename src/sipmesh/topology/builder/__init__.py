"""The Topology Builder: changes of the draft by name, and what a change of the topology leads to.

Here belong: additions, changes, removals and renames as edits of the draft's text. Not here: reading and checking the document
(`topology.document`), publishing it (`server.management`), and everything that needs a socket.
"""
