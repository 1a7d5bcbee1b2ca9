"""Targets of kind `bigquery`: tables in one dataset of BigQuery."""
