"""The browser's way in: a small page of our own, or a UI build that the operator names."""
