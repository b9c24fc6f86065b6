"""The door of execution: what a command means, and whether it may run without asking."""
