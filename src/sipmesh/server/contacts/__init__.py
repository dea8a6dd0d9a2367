"""The contacts of users: vCards, the XML of CardDAV (RFC 6352), and the tickets of front ends for them."""
