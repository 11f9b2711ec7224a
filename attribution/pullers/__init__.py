"""Reads what providers report of usage and cost, and books what no client told us of."""
