"""Doorkeepers: the gatekeeper and one file for each door."""
