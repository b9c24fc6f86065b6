"""One file per command of the front desk. Top-level imports stay light: a command pays for what it uses."""
