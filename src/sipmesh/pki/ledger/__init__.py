"""The ledger of a CA: each certificate and CRL that it has signed, journalled before the signature."""
