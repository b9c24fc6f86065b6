"""Gates out: the one factory of HTTP clients."""
