"""Methods about who is there: devices, nodes, users, channels."""
