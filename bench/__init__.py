"""What the gateway costs, measured on this machine beside the bare upstream: `make bench` (docs/bench.md)."""
