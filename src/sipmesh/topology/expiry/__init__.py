"""Everything in a network that expires: until when it is valid, how soon that is, and what fails then."""
