"""Databases: connections with time-outs, and the lease that says which management server leads.

Here is what the enterprise CA (`pki`) and the stores (`storage`) both need. The tables of a store belong to that store.
"""
