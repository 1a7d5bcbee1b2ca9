"""Pure rules: record batches in, record batches out; no files, no clock, no network."""
