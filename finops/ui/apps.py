"""Registers ``finops.ui`` with Django."""

from __future__ import annotations

from django.apps import AppConfig


class UiConfig(AppConfig):
    name = "finops.ui"
    label = "ui"
