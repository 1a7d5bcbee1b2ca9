"""Targets of kind `files`: a folder of Parquet, CSV and XLSX."""
