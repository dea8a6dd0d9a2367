"""The log-in of operators by OpenID Connect: the provider, its ID tokens, and the way of a browser there and back."""
