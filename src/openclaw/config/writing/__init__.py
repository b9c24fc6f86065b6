"""From values to text: changes that leave everything else as the person wrote it."""
