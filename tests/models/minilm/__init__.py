"""The local embeddings."""
