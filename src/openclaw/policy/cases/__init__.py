"""Policy as tested data: one line of a table in, one verdict out, by the code that the doors run."""
