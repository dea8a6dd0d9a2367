"""`sipmesh calls`: records of calls and messages, and the calls that are up."""
