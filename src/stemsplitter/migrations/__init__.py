"""Alembic's migrations: how the tables of an older version become those of this one.

A change of the models needs a step in ``versions``; ``scripts/new_migration`` writes a draft of it.
"""
