"""From text to values, each with its place: JSON5 and YAML, substitution, old spellings, quarantine, validation."""
