"""Alembic migrations of the database schema.

A change of the models needs a migration in ``versions``; ``scripts/new_migration`` drafts one.
"""
