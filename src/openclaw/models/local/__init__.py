"""Local model files: fetched, checked and kept on a shelf; the child that runs them is in `embedded`."""
