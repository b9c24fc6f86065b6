"""Methods about what is said: messages, runs, sessions and their transcripts."""
