"""`python -m openclaw` is the `openclaw` command."""

from openclaw.cli.entry import main

main()
