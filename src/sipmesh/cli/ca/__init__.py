"""The commands about the enterprise CA: issue, renew, revoke, inventory, root rotation, key encryption."""
