"""Who may do what: the one table of roles, scopes and capabilities, and what a caller may see.

Views ask for a *capability*. A person has those of their role, an API key those of its scopes. Some
act on the whole organisation (``ORGANISATION_WIDE``): whoever sees some teams only never has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.http import HttpRequest
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from finops.accounts.authentication import Unauthenticated, authenticate_key
from finops.accounts.models import ApiKey, Role, Scope, User
from finops.core.errors import NotAllowed


class Capability(StrEnum):
    """One thing that somebody may or may not do, inside the teams they may see."""

    VIEW_COSTS = "view_costs"
    VIEW_CONTRACTED_PRICES = "view_contracted_prices"
    SEND_EVENTS = "send_events"
    REPLAY_QUARANTINE = "replay_quarantine"
    IMPORT_FILES = "import_files"
    RECORD_OUTCOMES = "record_outcomes"
    EDIT_PRICES = "edit_prices"
    EDIT_OWNERSHIP = "edit_ownership"
    PROPOSE_OWNERSHIP = "propose_ownership"
    EDIT_BUDGETS = "edit_budgets"
    APPROVE_BUDGETS = "approve_budgets"
    HANDLE_ALERTS = "handle_alerts"
    EDIT_ALERT_RULES = "edit_alert_rules"
    EDIT_CHANNELS = "edit_channels"
    CLOSE_PERIODS = "close_periods"
    USE_GATEWAY = "use_gateway"
    EDIT_POOLS = "edit_pools"
    MANAGE_OWN_KEYS = "manage_own_keys"
    VIEW_ALL_KEYS = "view_all_keys"
    MANAGE_KEYS = "manage_keys"
    MANAGE_PEOPLE = "manage_people"
    VIEW_AUDIT = "view_audit"


C = Capability

_ENGINEER = frozenset({C.VIEW_COSTS, C.HANDLE_ALERTS, C.MANAGE_OWN_KEYS})
_LEAD = _ENGINEER | {C.VIEW_CONTRACTED_PRICES, C.PROPOSE_OWNERSHIP, C.EDIT_BUDGETS, C.EDIT_ALERT_RULES}
_VIEWER = frozenset({C.VIEW_COSTS, C.VIEW_CONTRACTED_PRICES, C.VIEW_ALL_KEYS, C.VIEW_AUDIT})
_BOOKS = frozenset(
    {
        C.REPLAY_QUARANTINE,
        C.IMPORT_FILES,
        C.RECORD_OUTCOMES,
        C.EDIT_PRICES,
        C.EDIT_OWNERSHIP,
        C.PROPOSE_OWNERSHIP,
        C.HANDLE_ALERTS,
        C.EDIT_ALERT_RULES,
    }
)
_FINANCE = _VIEWER | _BOOKS | {C.EDIT_BUDGETS, C.APPROVE_BUDGETS, C.CLOSE_PERIODS}
_PLATFORM = (
    _VIEWER
    | _BOOKS
    | {C.SEND_EVENTS, C.EDIT_CHANNELS, C.USE_GATEWAY, C.EDIT_POOLS, C.MANAGE_OWN_KEYS, C.MANAGE_KEYS}
)

ROLE_CAPABILITIES: Mapping[str, frozenset[Capability]] = {
    Role.ADMIN: frozenset(Capability),
    Role.FINANCE: _FINANCE,
    Role.PLATFORM: _PLATFORM,
    Role.LEAD: _LEAD,
    Role.ENGINEER: _ENGINEER,
    Role.VIEWER: _VIEWER,
}

# The scope that gives a key each capability; ``admin`` gives all.
SCOPE_OF: Mapping[Capability, Scope] = {
    C.VIEW_COSTS: Scope.READ,
    C.VIEW_CONTRACTED_PRICES: Scope.READ,
    C.SEND_EVENTS: Scope.INGEST,
    C.REPLAY_QUARANTINE: Scope.WRITE,
    C.IMPORT_FILES: Scope.WRITE,
    C.RECORD_OUTCOMES: Scope.WRITE,
    C.EDIT_PRICES: Scope.WRITE,
    C.EDIT_OWNERSHIP: Scope.WRITE,
    C.PROPOSE_OWNERSHIP: Scope.WRITE,
    C.EDIT_BUDGETS: Scope.WRITE,
    C.HANDLE_ALERTS: Scope.WRITE,
    C.EDIT_ALERT_RULES: Scope.WRITE,
    C.EDIT_CHANNELS: Scope.WRITE,
    C.EDIT_POOLS: Scope.WRITE,
    C.APPROVE_BUDGETS: Scope.FINANCE,
    C.CLOSE_PERIODS: Scope.FINANCE,
    C.USE_GATEWAY: Scope.GATEWAY,
    C.MANAGE_OWN_KEYS: Scope.ADMIN,
    C.VIEW_ALL_KEYS: Scope.ADMIN,
    C.MANAGE_KEYS: Scope.ADMIN,
    C.MANAGE_PEOPLE: Scope.ADMIN,
    C.VIEW_AUDIT: Scope.ADMIN,
}

# What touches every team at once; never for a key bound to one, nor for a person who sees but some.
ORGANISATION_WIDE = frozenset(
    {
        C.IMPORT_FILES,
        C.EDIT_PRICES,
        C.EDIT_OWNERSHIP,
        C.EDIT_CHANNELS,
        C.EDIT_POOLS,
        C.APPROVE_BUDGETS,
        C.CLOSE_PERIODS,
        C.VIEW_ALL_KEYS,
        C.MANAGE_KEYS,
        C.MANAGE_PEOPLE,
        C.VIEW_AUDIT,
    }
)

# The scopes a person may use, and may hand out in a key, by role.
ROLE_SCOPES: Mapping[str, frozenset[str]] = {
    Role.ADMIN: frozenset(Scope),
    Role.FINANCE: frozenset({Scope.READ, Scope.WRITE, Scope.FINANCE}),
    Role.PLATFORM: frozenset({Scope.INGEST, Scope.READ, Scope.WRITE, Scope.GATEWAY}),
    Role.LEAD: frozenset({Scope.INGEST, Scope.READ, Scope.GATEWAY}),
    Role.ENGINEER: frozenset({Scope.INGEST, Scope.READ, Scope.GATEWAY}),
    Role.VIEWER: frozenset({Scope.READ}),
}

# Their cost is that of their own teams only; a viewer's too, once they belong to one.
BOUND_TO_TEAMS = frozenset({Role.LEAD, Role.ENGINEER})


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller: a person or a key. ``visible_teams`` is None when they see all of them."""

    identity: str  # unique and lasting: "key 7", "person 3"
    label: str  # for the audit log
    capabilities: frozenset[Capability]
    scopes: frozenset[str]
    visible_teams: frozenset[str] | None
    role: str | None = None  # of a person
    bound_team: str = ""  # of a key

    def may(self, need: str) -> bool:
        """Whether they have this capability, or this scope as a whole."""
        return need in self.capabilities or need in self.scopes

    def sees(self, team: str | None) -> bool:
        """Whether they may see what belongs to this team; what belongs to none is for those who see all."""
        return self.visible_teams is None or (team is not None and team in self.visible_teams)

    def require(self, need: str) -> None:
        """Raises NotAllowed, naming what is needed, unless they may."""
        if not self.may(need):
            raise NotAllowed(self.refusal(need))

    def refusal(self, need: str) -> str:
        """Why not, in a sentence that says what would be needed."""
        scope = SCOPE_OF[Capability(need)] if need in SCOPE_OF else need
        if self.role is not None:
            roles = ", ".join(role for role in ROLE_CAPABILITIES if _role_may(role, need))
            return f"This needs {need} (roles: {roles}); your role is {self.role}."
        if self.bound_team and scope in self.scopes:
            return f"This needs a key bound to no team; this one is bound to {self.bound_team}."
        return f"This needs a key with the scope {scope}; this one has: {', '.join(sorted(self.scopes))}."


def principal_of(request: HttpRequest | Request) -> Principal:
    """Who sent this request. Plain views and DRF views alike; one query at most (a person's teams).

    A plain view's key is authenticated here, from its header; a session counts there only for reading,
    or once the CSRF token was checked, so that a view exempt from that check cannot be written to by
    another site. Raises Unauthenticated (401).
    """
    key = getattr(request, "auth", None)
    if isinstance(key, ApiKey):
        return principal_of_key(key)
    if not isinstance(request, Request):
        key = authenticate_key(request.META.get("HTTP_AUTHORIZATION", ""))
        if key is not None:
            return principal_of_key(key)
    user = request.user
    if isinstance(user, User) and user.is_active and _is_own_doing(request):
        return principal_of_person(user)
    raise Unauthenticated("Sign in, or send an API key as: Authorization: Bearer KEY.")


def principal_of_key(key: ApiKey) -> Principal:
    """What a key may do and see; no query."""
    may = {capability for capability, scope in SCOPE_OF.items() if key.allows(scope)}
    scopes = frozenset(Scope) if Scope.ADMIN in key.scopes else frozenset(key.scopes)
    return Principal(
        identity=f"key {key.pk}",
        label=f"key: {key.name}",
        capabilities=frozenset(may - ORGANISATION_WIDE if key.team else may),
        scopes=scopes,
        visible_teams=frozenset({key.team}) if key.team else None,
        bound_team=key.team,
    )


def principal_of_person(user: User) -> Principal:
    """What a person may do and see; one query for the teams of those who are bound to teams."""
    may, teams = ROLE_CAPABILITIES[user.role], _teams_seen_by(user)
    return Principal(
        identity=f"person {user.pk}",
        label=user.email,
        capabilities=may if teams is None else may - ORGANISATION_WIDE,
        scopes=ROLE_SCOPES[user.role],
        visible_teams=teams,
        role=user.role,
    )


def _is_own_doing(request: HttpRequest | Request) -> bool:
    """Whether a session's request is the person's own: DRF has checked, Django's middleware notes it."""
    if isinstance(request, Request) or request.method in SAFE_METHODS:
        return True
    return getattr(request, "csrf_processing_done", False)


def _teams_seen_by(user: User) -> frozenset[str] | None:
    if user.role in BOUND_TO_TEAMS:
        return user.team_slugs
    if user.role == Role.VIEWER and user.team_slugs:
        return user.team_slugs
    return None


def _role_may(role: str, need: str) -> bool:
    return need in ROLE_CAPABILITIES[role] or need in ROLE_SCOPES[role]


def requires(*, read: str, write: str | None = None) -> type[BasePermission]:
    """A DRF permission: what is needed to read, and to do anything else.

    Each is a capability or a scope, such as ``requires(read="view_costs", write="edit_prices")``.
    Whoever may write there may also read what is there. Without ``write``, everything needs
    ``read``. Refused with 401 when nobody is signed in, with 403 naming what is needed otherwise.
    """
    needed_to_write = write or read

    class Requires(BasePermission):
        def has_permission(self, request: Request, view: Any) -> bool:  # Any: as DRF types a view
            principal = principal_of(request)
            if request.method not in SAFE_METHODS:
                principal.require(needed_to_write)
            elif not principal.may(needed_to_write):
                principal.require(read)
            return True

    return Requires
