"""Everything in a network that expires: until when it is valid, how near that is, and what stops then."""
