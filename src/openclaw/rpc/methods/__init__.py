"""One file per family of methods; each exports METHODS, its rows of the table."""
