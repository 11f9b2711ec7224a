"""The HTTP API of the books."""
