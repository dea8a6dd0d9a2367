"""`sipmesh topology dns`: the DNS records that a topology needs, and whether DNS has them."""
