"""Changes of the configuration file as records: who, when, why, what, and the way back."""
