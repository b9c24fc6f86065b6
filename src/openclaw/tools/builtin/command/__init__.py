"""Commands of agents: judged, approved, run within walls."""
