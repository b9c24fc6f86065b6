"""The composition root: rooms from a Config, lifecycle, reload."""
