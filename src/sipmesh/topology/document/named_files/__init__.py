"""The files that a document names: trust anchors, CRLs, OCSP responses; read with a limit, and parsed once a process."""
