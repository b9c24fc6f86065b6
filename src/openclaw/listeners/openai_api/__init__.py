"""The OpenAI-compatible surface: models and chat completions."""
