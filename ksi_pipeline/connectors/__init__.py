"""Inbound tickets: how each kind of source is asked. No policy, no storage; rules are in core."""
