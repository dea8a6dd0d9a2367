"""The revisions of the message history of users."""
