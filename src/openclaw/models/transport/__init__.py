"""What all wires share: requests and their failures, server-sent events, JSON lines."""
