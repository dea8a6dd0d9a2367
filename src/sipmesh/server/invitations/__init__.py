"""The pages at which devices take invitations: who may ask for what, and what becomes of it."""
