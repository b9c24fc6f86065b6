"""The security audit: a table of stable check ids, what a configuration and its files open, and probes of what runs."""
