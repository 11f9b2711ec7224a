"""What every screen shares: filters, charts, exports, number formats."""
