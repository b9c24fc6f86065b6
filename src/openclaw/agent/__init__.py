"""Study: intake, lanes, turns. From an Inbound to a Reply, durably."""
