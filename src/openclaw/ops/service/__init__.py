"""The gateway as a service of the system: what its unit says, where it lies, and who starts it."""
