"""Doors in: doctor and the other operator's tools."""
