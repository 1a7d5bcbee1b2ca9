"""The only room that knows paths: lake files, ledger, build database, published snapshots."""
