"""How a wish becomes an answer: attempts in order, cooldowns, credentials, the story of each."""
