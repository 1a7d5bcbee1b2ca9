"""Targets of kind `snowflake`: tables in one schema of a Snowflake account."""
