"""Tickets from databases: one read-only query for each window, its rows handed over in batches.

Nothing is stored here, and no row is judged: what a row means is said by a mapping, as for files.
"""
