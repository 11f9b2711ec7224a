"""Registers ``gpu_pool`` with Django."""

from __future__ import annotations

from django.apps import AppConfig


class GpuPoolConfig(AppConfig):
    name = "gpu_pool"
