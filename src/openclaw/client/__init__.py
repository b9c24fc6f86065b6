"""Archive: the client of the gateway protocol and its HTTP API, used by the CLI, tests and integrators."""
