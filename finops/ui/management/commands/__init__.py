"""Management commands of what every screen shares."""
