"""The control plane on a managed server: it subscribes, verifies and applies documents, and reports its status."""
