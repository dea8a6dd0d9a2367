"""What a server reads again while it runs: changed files (inotify), CRL and OCSP URLs (HTTP), with backoff."""
