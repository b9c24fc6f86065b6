"""The tools that every gateway has: files of the workspace, memory, the web, sessions, other agents."""
