"""`sipmesh trace`: the messages of a user, a call, a partner or a link, live, over all servers."""
