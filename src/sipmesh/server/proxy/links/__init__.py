"""What a server does when a link or a flow begins and ends, at this process or at another process of the server.

Messages on links do not belong here: `dispatch` receives them.
"""
