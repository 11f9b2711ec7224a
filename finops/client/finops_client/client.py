"""What a service holds: records calls and outcomes, and sends them in the background."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from finops_client import responses
from finops_client.calls import Call
from finops_client.context import Task, current, merged, named
from finops_client.fields import EventFields, Names, Outcome, Usage
from finops_client.records import Lane, encode, new_id
from finops_client.sender import Sender
from finops_client.settings import Settings
from finops_client.stats import Counts, Stats
from finops_client.transport import Transport
from finops_client.voice import Voice, log

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self, Unpack

AGENT = "finops-client-python/0.1"


class Client:
    """Sends call events to one server. Make one for a process and keep it.

    ``url`` and ``key`` default to the environment's FINOPS_URL and FINOPS_API_KEY; without an address or a
    key the client is disabled: it takes everything and sends nothing, so that a developer's machine needs
    neither. ``source`` says who sends, where the key does not. ``names`` hold for all events.

    Recording never blocks, and never raises for the network or for a value that cannot be sent: such
    records are logged, counted in ``stats`` and reported to ``on_drop``. Raises ValueError for an address
    or settings that cannot be meant, OSError for a spool directory that cannot be written.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        source: str | None = None,
        names: Names | None = None,
        settings: Settings | None = None,
    ) -> None:
        url = url or os.environ.get("FINOPS_URL")
        key = key or os.environ.get("FINOPS_API_KEY")
        self.settings = settings or Settings()
        self._source, self._names = source, names or Names()
        self._voice = Voice()
        self._sender: Sender | None = None
        if url and key:
            transport = Transport(url, key, compression=self.settings.compression, agent=AGENT)
            self._sender = Sender(transport, self.settings)
        else:
            log.warning("No FINOPS_URL or no FINOPS_API_KEY: call events are not sent")

    @property
    def enabled(self) -> bool:
        """Whether there is a server to send to."""
        return self._sender is not None

    @property
    def stats(self) -> Stats:
        """What became of everything recorded so far."""
        return Counts().snapshot(0) if self._sender is None else self._sender.stats()

    def record(
        self,
        *,
        provider: str,
        model: str,
        usage: Usage | None = None,
        raw_usage: Mapping[str, object] | None = None,
        api_flavor: str | None = None,
        **fields: Unpack[EventFields],
    ) -> str:
        """Record one call and return its event id.

        ``usage`` in our own names, or ``raw_usage`` as the provider returned it together with ``api_flavor``.
        The time is now, unless ``occurred_at`` says otherwise.
        """
        stated = {"usage": usage, "raw_usage": raw_usage, "api_flavor": api_flavor}
        return self.send_event({"provider": provider, "model": model, **stated, **fields})

    def record_response(
        self,
        response: object,
        *,
        provider: str,
        model: str | None = None,
        api_flavor: str | None = None,
        **fields: Unpack[EventFields],
    ) -> str:
        """Record the call that this answer is of, an object of the provider's SDK or parsed JSON.

        Usage, model and service tier are taken as answered; ``model`` is for answers that name none.
        ``api_flavor`` is found by the shape of the answer where it is not given.
        """
        named_model = {"model": model} if model else {}
        return self.send_answered(
            {"provider": provider, "api_flavor": api_flavor, **named_model, **fields}, response
        )

    def call(self, provider: str, model: str, **fields: Unpack[EventFields]) -> Call:
        """Measure a call: ``with client.call("openai", "gpt-5-mini") as call: call.response(...)``."""
        return Call(self, {"provider": provider, "model": model, **fields})

    def task(
        self,
        task_id: str | None = None,
        /,
        *,
        session: str | None = None,
        outcome: Outcome | None = "success",
        **names: Unpack[Names],
    ) -> Task:
        """A task: everything recorded inside carries its id and names, and on leaving its outcome is sent.

        ``outcome`` is the one of a task that is left without a word; None sends none unless it is said.
        """
        held: dict[str, Any] = {**names, "task_id": task_id or names.get("task_id") or new_id()}
        if session is not None:
            held["session_id"] = session
        return Task(self, held, outcome=outcome)

    def context(self, **names: Unpack[Names]) -> AbstractContextManager[None]:
        """Everything recorded inside carries these names."""
        return named(names)

    def step(self, name: str, **names: Unpack[Names]) -> AbstractContextManager[None]:
        """Everything recorded inside belongs to this step."""
        return named({**names, "step": name})

    def outcome(
        self,
        task_id: str,
        outcome: Outcome,
        *,
        value_usd: Decimal | float | str | None = None,
        occurred_at: datetime | None = None,
    ) -> str:
        """Say how a task ended, whenever that is known; returns its id."""
        content = {
            "task_id": task_id,
            "outcome": outcome,
            "occurred_at": occurred_at or datetime.now(timezone.utc),
            "value_usd": None if value_usd is None else str(value_usd),
        }
        self._send(Lane.OUTCOMES, task_id, content)
        return task_id

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until everything recorded so far is delivered, or safe in the spool; False if it took longer.

        It blocks: in asyncio ``await asyncio.to_thread(client.flush)``.
        """
        return self._sender is None or self._sender.flush(timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Send what is left within the time (``exit_timeout``), and record no more; whether nothing was lost.

        At the end of a process this happens by itself.
        """
        given = self.settings.exit_timeout if timeout is None else timeout
        return self._sender is None or self._sender.close(given)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def send_event(self, fields: Mapping[str, Any]) -> str:
        """Record an event given by its fields; for ``Call``."""
        event = merged(merged(self._names, current()), fields)
        event_id = str(event.get("event_id") or new_id())
        event["event_id"] = event_id
        event.setdefault("occurred_at", datetime.now(timezone.utc))
        if self._source is not None:
            event.setdefault("source", self._source)
        self._send(Lane.EVENTS, event_id, event)
        return event_id

    def send_answered(self, fields: Mapping[str, Any], response: object) -> str:
        """Record an event given by its fields and by what the provider answered; for ``Call``."""
        try:
            read = responses.read(
                response, provider=str(fields["provider"]), api_flavor=fields.get("api_flavor")
            )
            asked = fields.get("model")
            model = read.get("model") or asked
            if not model:
                raise responses.Unreadable("the answer names no model: give one")
        except (ValueError, TypeError) as error:
            event_id = str(fields.get("event_id") or new_id())
            self._unencodable(event_id, error)
            return event_id
        if "usage" in read and "usage" in fields:
            del read["usage"]
        elif "usage" in read:
            message = "An answer states no usage, so its call has no price: a stream must be asked for it"
            self._voice.say(logging.WARNING, "no usage", message)
        requested = {} if asked in (None, model) else {"model_requested": asked}
        return self.send_event({**requested, **fields, **read, "model": model})

    def _send(self, lane: Lane, name: str, content: Mapping[str, Any]) -> None:
        if self._sender is None:
            return
        try:
            body = encode(content)
        except (ValueError, TypeError, RecursionError) as error:
            self._unencodable(name, error)
        else:
            self._sender.put(lane, name, body)

    def _unencodable(self, name: str, error: Exception) -> None:
        self._voice.say(logging.ERROR, "unencodable", "A record cannot be sent: %s", error)
        if self._sender is not None:
            self._sender.give_up("unencodable", (name,))
