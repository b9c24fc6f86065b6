"""Gates out: the one spawner of child processes."""
