"""People, roles, API keys, and the audit log."""
