"""Webhooks: other programs wake the agent or give it a task."""
