"""`sipmesh doctor`: what keeps this host, or the network, from working; each check in one sentence, with a remedy."""
