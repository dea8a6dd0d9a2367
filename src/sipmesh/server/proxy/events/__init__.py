"""Event state at run time: requests of our own to phones, messages that wait for users, subscriptions."""
