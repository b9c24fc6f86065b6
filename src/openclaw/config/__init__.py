"""Archive: what the operator wants. Schema, environment, load with quarantine, text-preserving writes, plan, watch."""
