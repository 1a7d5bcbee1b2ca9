"""Targets of kind `postgres`: tables in one schema of a PostgreSQL database."""
