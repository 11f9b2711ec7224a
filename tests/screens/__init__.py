"""Every screen, asked over HTTP with a small company in the books."""
