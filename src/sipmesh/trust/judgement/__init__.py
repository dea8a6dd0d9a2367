"""The judge makes a verdict from evidence and policy, and explains it."""
