"""The judge: evidence and policy in, a verdict out, and its explanation."""
