"""Tickets from files: how a drop is read as text, typed by a mapping, and gathered into tickets.

Rows are handled in pieces of a few hundred thousand, as columns, so that memory stays flat.
"""
