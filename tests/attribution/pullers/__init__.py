"""Tests of what is read from providers."""
