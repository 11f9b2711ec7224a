"""Sends call events and task outcomes to the LLM cost attribution server.

``Client`` is all that most services need; see docs/sending-events/python-client.md.
"""

from __future__ import annotations

from finops_client.calls import Call
from finops_client.client import Client
from finops_client.context import Task
from finops_client.fields import EventFields, Names, Usage
from finops_client.records import Drop, Rejection
from finops_client.settings import Settings
from finops_client.stats import Stats

__version__ = "0.1.0"
__all__ = [
    "Call",
    "Client",
    "Drop",
    "EventFields",
    "Names",
    "Rejection",
    "Settings",
    "Stats",
    "Task",
    "Usage",
]
