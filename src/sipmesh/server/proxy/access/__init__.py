"""The logins that requests need, also those of users of another pool: both ends of the way between their link and that pool."""
