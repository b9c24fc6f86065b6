"""Cellar: types, errors, ids, clock, bounded containers, tasks and secrets. Imports nothing of ours."""
