"""Whether other servers still answer: keepalives on links, and requests kept away from a server that is down."""
