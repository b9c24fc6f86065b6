"""The walls around commands of agents: none, bubblewrap or docker."""
