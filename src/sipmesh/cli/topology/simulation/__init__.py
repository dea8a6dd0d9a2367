"""`sipmesh topology simulate`: links, messages and logins, decided under a topology without a network."""
