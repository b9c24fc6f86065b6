"""The door of skills: what a skill says, what it does, and whether it may be loaded. Nothing of one is run here."""
