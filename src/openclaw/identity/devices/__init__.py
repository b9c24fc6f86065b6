"""Devices: who they are, what they may do, and how they come to be trusted."""
