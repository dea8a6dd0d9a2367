"""What a managed server does once because management has ordered it: open links, ask DNS, fetch CRLs; it reports the results."""
