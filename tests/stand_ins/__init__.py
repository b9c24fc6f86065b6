"""Honest stand-ins for model providers, on loopback: they speak the wire as the vendors do, and fail on demand."""
