"""What the gateway does by itself: scheduled jobs, heartbeats, system events that wake an agent."""
