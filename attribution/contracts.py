"""What sources must say: checked at the door, once for each combination of names that they send.

A contract reads names as the source spells them and as its aliases make of them. What it asks for
holds for the latter. A team that a source may not claim is always refused. The tags of declared
allocation keys are names like the others, called ``tags.<key>``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F

from attribution import tag_names
from attribution.ingest.rules import SLUG
from attribution.models import AllocationKey, ContractMode, ContractState, SourceContract
from finops.accounts import audit
from finops.core import outage
from finops.core.errors import FieldProblem, InvalidInput, NotFound

# The names that a contract may ask for, as events carry them.
KEYS = (
    "team",
    "feature",
    "tier",
    "environment",
    "workflow",
    "step",
    "prompt_version",
    "release",
    "operation",
)
CODE = "contract"
MOST_CONTRACTS, MOST_VALUES, LONGEST = 1_000, 1_000, 128
_SECONDS_BETWEEN_LOOKS, _LONGEST_LOOK_SECONDS = 1.0, 2.0
_NAMES = ("source", *KEYS)

Names = Sequence[str | None]  # the source, the keys in their order, then the tags of allocation keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What one source must say."""

    mode: str = ContractMode.COUNT
    required: frozenset[str] = frozenset()
    allowed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # as sent, in lower case
    teams: frozenset[str] = frozenset()

    @classmethod
    def of(cls, row: SourceContract) -> Contract:
        """As it is stored."""
        return cls(
            mode=row.mode,
            required=frozenset(row.required),
            allowed={key: frozenset(values) for key, values in row.allowed.items()},
            aliases={
                key: {sent.casefold(): kept for sent, kept in pairs.items()}
                for key, pairs in row.aliases.items()
            },
            teams=frozenset(row.teams),
        )

    def kept(self, names: Names, tags: Sequence[str] = ()) -> list[str]:
        """The names as they are kept: an alias is another spelling of one.

        ``tags`` are the allocation keys whose values stand behind the other names.
        """
        told = [name or "" for name in names]
        for place, key in enumerate((*_NAMES, *map(tag_names.name_of, tags))):
            if told[place] and (pairs := self.aliases.get(key)):
                told[place] = pairs.get(told[place].casefold(), told[place])
        return told

    def broken(self, names: Names, tags: Sequence[str] = ()) -> FieldProblem | None:
        """Why an event with these names is refused; None where it is booked."""
        keys = (*KEYS, *map(tag_names.name_of, tags))
        told = dict(zip(("source", *keys), self.kept(names, tags), strict=True))
        source, team = told["source"], told["team"]
        if team and self.teams and team not in self.teams:
            return FieldProblem("team", CODE, f'The source "{source}" may not claim the team "{team}".')
        if self.mode != ContractMode.QUARANTINE:
            return None
        for key in keys:
            if key in self.required and not told[key]:
                return FieldProblem(key, CODE, f'The source "{source}" must say its {key}.')
            if told[key] and key in self.allowed and told[key] not in self.allowed[key]:
                message = f'"{told[key]}" is not one of the values that the source "{source}" may say.'
                return FieldProblem(key, CODE, message)
        return None


class ContractBook:
    """The contracts and allocation keys as this process knows them.

    A change elsewhere is noticed within a second or so.
    """

    def __init__(self) -> None:
        self._contracts: Mapping[str, Contract] = {}
        self._accounts: Mapping[str, str] = {}
        self._allocated: Mapping[str, int] = {}
        self._version = -1
        self._changes = 0
        self._looked_at = -_SECONDS_BETWEEN_LOOKS
        self._looking = threading.Lock()

    @property
    def contracts(self) -> Mapping[str, Contract]:
        """By source."""
        return self._contracts

    @property
    def accounts(self) -> Mapping[str, str]:
        """By source, the provider's account that is billed for calls that name none."""
        return self._accounts

    @property
    def allocated(self) -> Mapping[str, int]:
        """The declared allocation keys in order, each with the most values of a source that are kept."""
        return self._allocated

    @property
    def changes(self) -> int:
        """How many changes this process has noticed."""
        return self._changes

    def is_changed(self) -> bool:
        """Look for changes, at most once a second; whether there are any since the last time.

        While the database is away what is known goes on to hold.
        """
        if time.monotonic() - self._looked_at < _SECONDS_BETWEEN_LOOKS:
            return False
        with self._looking:
            if time.monotonic() - self._looked_at < _SECONDS_BETWEEN_LOOKS:
                return False
            self._looked_at = time.monotonic()
            try:
                with outage.watched(_LONGEST_LOOK_SECONDS):
                    return self._read()
            except (OperationalError, InterfaceError) as error:
                if connection.in_atomic_block:
                    raise
                connection.close()
                outage.note_away(error)
                return False

    def _read(self) -> bool:
        version = ContractState.objects.values_list("version", flat=True).first() or 0
        if version == self._version:
            return False
        rows = list(SourceContract.objects.all())
        self._contracts = {row.source: Contract.of(row) for row in rows}
        self._accounts = {row.source: row.account for row in rows if row.account}
        declared = AllocationKey.objects.filter(dropped_at=None)
        self._allocated = dict(declared.values_list("key", "most_values"))
        self._version = version
        self._changes += 1
        return True

    def forget(self) -> None:
        """Read them again next time."""
        self._version, self._looked_at = -1, -_SECONDS_BETWEEN_LOOKS

    def kept(self, names: Names, tags: Sequence[str] = ()) -> list[str]:
        """The names of an event as they are kept; behind them its tags of these allocation keys."""
        contract = self._contracts.get(names[0] or "")
        return contract.kept(names, tags) if contract else [name or "" for name in names]

    def broken(self, names: Names, tags: Sequence[str] = ()) -> FieldProblem | None:
        """Why an event with these names is refused; None where it is booked."""
        contract = self._contracts.get(names[0] or "")
        return contract.broken(names, tags) if contract else None


book = ContractBook()


def contract_of(source: str) -> SourceContract:
    """The contract of a source. Raises NotFound."""
    found = SourceContract.objects.filter(source=source).first()
    if found is None:
        raise NotFound(f'There is no contract of the source "{source}".')
    return found


@transaction.atomic
def put(source: str, *, actor: str, **said: Any) -> tuple[SourceContract, bool]:
    """Make the contract of a source, or change what is said of it; True when it is new.

    ``said`` are fields of ``SourceContract``. Raises InvalidInput, naming every field that is wrong.
    """
    count_change()
    contract = SourceContract.objects.select_for_update().filter(source=source).first()
    is_new = contract is None
    contract = contract or SourceContract(source=source)
    before = None if is_new else as_json(contract)
    for name, value in said.items():
        setattr(contract, name, value)
    if problems := _problems(contract):
        raise InvalidInput(problems[0].message, problems)
    contract.save()
    audit.record(
        actor,
        "contract.created" if is_new else "contract.changed",
        subject_kind="contract",
        subject=source,
        before=before,
        after=as_json(contract),
    )
    return contract, is_new


@transaction.atomic
def drop(source: str, *, actor: str) -> None:
    """From now on anything goes for this source. Raises NotFound."""
    contract = contract_of(source)
    contract.delete()
    count_change()
    audit.record(actor, "contract.dropped", subject_kind="contract", subject=source, before=as_json(contract))


def as_json(contract: SourceContract) -> dict[str, Any]:
    """For the audit log and the API."""
    return {
        "source": contract.source,
        "mode": contract.mode,
        "required": contract.required,
        "allowed": contract.allowed,
        "aliases": contract.aliases,
        "teams": contract.teams,
        "owner": contract.owner,
        "account": contract.account,
    }


def count_change() -> None:
    """Let every process read contracts and allocation keys again, once the transaction has committed.

    Until then nobody else changes any of them: what a contract asks for is declared, and stays so.
    """
    state, _ = ContractState.objects.get_or_create(pk=1)
    ContractState.objects.filter(pk=state.pk).update(version=F("version") + 1)


def _problems(contract: SourceContract) -> list[FieldProblem]:
    problems = []
    keys = (*KEYS, *tag_names.declared())
    if not contract.source or len(contract.source) > LONGEST or not contract.source.isprintable():
        message = f"A source is 1 to {LONGEST} printable characters."
        problems.append(FieldProblem("source", "invalid", message))
    if contract.mode not in ContractMode.values:
        problems.append(FieldProblem("mode", "not_a_choice", f"One of {', '.join(ContractMode.values)}."))
    strange = [key for key in contract.required if key not in keys]
    problems.extend(FieldProblem("required", "unknown", _unknown(key, keys)) for key in strange)
    for name, chosen in (("allowed", contract.allowed), ("aliases", contract.aliases)):
        for key, values in chosen.items():
            texts = [*values, *values.values()] if isinstance(values, dict) else list(values)
            if key not in keys:
                problems.append(FieldProblem(name, "unknown", _unknown(key, keys)))
            elif not _are_names(texts):
                problems.append(FieldProblem(name, "invalid", f"{key}: {_SAY}"))
    if contract.account and not (len(contract.account) <= LONGEST and SLUG.fullmatch(contract.account)):
        message = f"At most {LONGEST} letters, digits and - _ . : / @ + #; no spaces."
        problems.append(FieldProblem("account", "not_a_slug", message))
    if not _are_names(contract.teams):
        problems.append(FieldProblem("teams", "invalid", _SAY))
    return problems


_SAY = f"At most {MOST_VALUES} values of 1 to {LONGEST} printable characters."


def _unknown(key: str, keys: Sequence[str]) -> str:
    if tag_names.key_of(key):
        return f'"{key}" is of no tag that is declared as an allocation key.'
    return f'"{key}" is none of {", ".join(keys)}.'


def _are_names(texts: Sequence[str]) -> bool:
    return len(texts) <= 2 * MOST_VALUES and all(
        text and len(text) <= LONGEST and text.isprintable() for text in texts
    )
