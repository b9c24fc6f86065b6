"""Methods about what is let through: approvals, rules, policy, the ledger."""
