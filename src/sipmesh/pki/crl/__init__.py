"""The CRLs of our two CAs: what stands in them, and when the next one is due."""
