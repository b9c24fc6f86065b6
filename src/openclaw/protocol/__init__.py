"""Cellar: frames, versions, the wire form of errors, limits."""
