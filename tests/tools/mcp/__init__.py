"""MCP servers as tools, against real servers written with the official library."""
