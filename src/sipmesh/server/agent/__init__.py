"""The control plane on a managed server: it subscribes, verifies and applies documents, and reports its status.

`agent` has the links and messages. `document_applier` and `crl_receiver` put in force what comes, `held_items` is what is in
force, `status_reporter` tells management.
"""
