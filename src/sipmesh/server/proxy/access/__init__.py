"""Users who log in at a server that is not of their home pool: both ends of the way between their link and their home pool."""
