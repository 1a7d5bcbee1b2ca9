"""Targets of kind `redshift`: tables in one schema of Amazon Redshift, loaded from S3 with COPY."""
