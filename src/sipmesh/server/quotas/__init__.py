"""What each principal (address, user, server, partner) may use: links, transactions, octets, log lines, its share in overload."""
