"""Set-up in a browser, for hosts without a shell."""
