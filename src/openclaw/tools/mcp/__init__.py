"""Tools of MCP servers: a link for each server, a room for all links. The library is loaded when one is configured."""
