"""Records what real OpenTelemetry clients send, as fixtures; see the README one folder up."""
