"""Cellar: logs, redaction, metrics, loop lag."""
