"""The log-in of operators by OpenID Connect: the way of a browser to the provider and back."""
