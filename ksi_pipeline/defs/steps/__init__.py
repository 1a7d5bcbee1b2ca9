"""What the assets do, as plain functions of a workspace: no Dagster here.

Each step reads what counts, decides with core, and commits one change at a time. Doing a step
again with the same inputs writes nothing.
"""
