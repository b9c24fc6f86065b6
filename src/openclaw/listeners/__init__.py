"""Doors in: sockets to frames and routes."""
