"""What people and clients may see of a configuration, and the way back from it."""
