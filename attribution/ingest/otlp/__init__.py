"""OpenTelemetry traces: spans of model calls become events, without a line of ours in the caller."""
