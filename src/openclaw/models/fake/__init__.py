"""A provider without a model: deterministic, for demos, load tests and the tests of everything above."""
