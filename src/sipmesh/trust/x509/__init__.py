"""X.509 certificates as the judge reads them: names, constraints, policies, limits of a chain."""
