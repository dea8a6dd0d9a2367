"""Alembic revisions: how the tables of each schema came about. A revision that was released is never changed.

A revision contains its own text of the tables, and imports nothing of sipmesh. `sipmesh.database.schema` names the newest
revision of each schema. ``v0001`` also adopts the tables of releases without revisions: it creates what they lack.
"""
