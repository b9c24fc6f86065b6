"""Methods about agents, and what they work with."""
