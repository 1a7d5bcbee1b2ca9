"""Targets: where marts are published to."""
