"""Screens of one's profile, people, keys and the audit log, and who-am-I of the API."""

from __future__ import annotations

from django.urls import path

from finops.accounts.api import Me
from finops.accounts.views import audit, keys, people, profile

app_name = "accounts"
urlpatterns = [
    path("profile/", profile.profile, name="profile"),
    path("people/", people.people, name="people"),
    path("people/add/", people.add, name="person-add"),
    path("people/<int:person_id>/", people.edit, name="person"),
    path("people/<int:person_id>/deactivate/", people.deactivate, name="person-deactivate"),
    path("people/<int:person_id>/activate/", people.activate, name="person-activate"),
    path("people/<int:person_id>/password-link/", people.link, name="person-link"),
    path("keys/", keys.key_list, name="keys"),
    path("keys/create/", keys.create, name="key-create"),
    path("keys/<int:key_id>/rotate/", keys.rotate, name="key-rotate"),
    path("keys/<int:key_id>/revoke/", keys.revoke, name="key-revoke"),
    path("audit/", audit.audit_log, name="audit"),
    path("api/v1/me", Me.as_view(), name="me"),
]
