"""Nodes: machines and phones that attach to the gateway and carry out commands for it."""
