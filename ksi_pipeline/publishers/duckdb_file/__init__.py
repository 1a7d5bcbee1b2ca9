"""Targets of kind `duckdb`: one DuckDB file."""
