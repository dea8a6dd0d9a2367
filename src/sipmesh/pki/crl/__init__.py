"""The CRLs of our two CAs: their content, and when the next one is due."""
