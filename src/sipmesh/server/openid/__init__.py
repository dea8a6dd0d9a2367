"""OpenID providers: what they say of themselves, their keys, and the checks of the tokens that they sign."""
