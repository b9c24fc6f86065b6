"""Backups: one archive of everything that makes a gateway this gateway, taken while it runs, and the way back."""
