"""All links of one process: by id, by proved identity, by the certificates that they rely on; never by address."""
