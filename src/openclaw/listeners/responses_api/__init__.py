"""The OpenAI Responses surface."""
