"""Workshop: what agents can do. The Action SDK, the registry and the built-in tools."""
