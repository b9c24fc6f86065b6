"""Methods about the gateway itself: configuration, health, upkeep, its clock."""
