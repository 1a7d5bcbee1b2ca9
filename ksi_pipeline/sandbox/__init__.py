"""A simulated mall with ground truth, and the services it would be asked through."""
