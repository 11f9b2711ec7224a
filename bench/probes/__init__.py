"""Measurements that run inside Django, each in a process of its own, answering in JSON."""
