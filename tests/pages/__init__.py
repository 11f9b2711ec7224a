"""Screens that read several apps."""
