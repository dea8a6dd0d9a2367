"""The control plane on a managed server: it subscribes, verifies and applies documents, and reports its status.

`agent` has the links and messages. `document_applier` and `crl_receiver` put received documents in force. `stored_items` has the
documents in force. `status_reporter` reports to management.
"""
