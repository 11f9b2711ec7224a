"""Attention: detectors, incidents, routing, delivery."""
