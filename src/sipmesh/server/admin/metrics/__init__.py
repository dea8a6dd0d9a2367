"""Metrics for Prometheus: one module for each subject, and the page that serves them."""
