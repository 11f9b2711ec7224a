"""What the environment may say, and how a mistake in it is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from finops import env


@pytest.mark.parametrize(("text", "value"), [("true", True), ("FALSE", False)])
def test_a_flag_is_true_or_false(monkeypatch: pytest.MonkeyPatch, text: str, value: bool) -> None:
    monkeypatch.setenv("FLAG", text)

    assert env.flag("FLAG", default=not value) is value


@pytest.mark.parametrize(
    ("read", "text", "rule"),
    [
        (lambda: env.flag("X", default=True), "yes", "X must be true or false, not 'yes'"),
        (lambda: env.whole("X", 5, least=2), "1", "X must be a whole number of at least 2, not '1'"),
        (lambda: env.whole("X", 5, least=2), "many", "X must be a whole number of at least 2, not 'many'"),
        (lambda: env.choice("X", "a", ("a", "b")), "c", "X must be one of a, b, not 'c'"),
        (lambda: env.zone("X", "UTC"), "Lisbon", "X must be an IANA time zone"),
        (lambda: env.zone("X", "UTC"), "../../etc/passwd", "X must be an IANA time zone"),
        (lambda: env.currency("X", "USD"), "usd", "X must be an ISO 4217 code"),
        (lambda: env.address("X", "https://a/v1"), "a/v1", "X must be an address such as https://a/v1"),
        (lambda: env.address("X", "https://a/v1"), "ftp://a", "X must be an address such as https://a/v1"),
        (lambda: env.address("X", "https://a/v1"), "http://a?b=c", "X must be an address such as"),
        (lambda: env.database("X", ""), "mysql://a/b", "X must look like postgresql://"),
        (lambda: env.database("X", ""), "postgresql://host", "X must look like postgresql://"),
    ],
)
def test_a_mistake_is_named_with_its_variable_and_rule(
    monkeypatch: pytest.MonkeyPatch, read: object, text: str, rule: str
) -> None:
    monkeypatch.setenv("X", text)
    assert callable(read)

    with pytest.raises(ImproperlyConfigured) as refused:
        read()

    assert str(refused.value).startswith(rule)


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from the file\n")
    monkeypatch.setenv("X_FILE", str(secret))
    monkeypatch.setenv("X", "from the environment")

    assert env.text("X") == "from the file"


def test_a_missing_secret_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("X_FILE", str(tmp_path / "none"))

    with pytest.raises(ImproperlyConfigured, match=r"X_FILE: .*No such file"):
        env.text("X")


def test_a_database_url_is_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X", "postgresql://me:p%40ss@db.example.com:6432/books?sslmode=require")

    assert env.database("X", "") == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "books",
        "USER": "me",
        "PASSWORD": "p@ss",
        "HOST": "db.example.com",
        "PORT": "6432",
        "OPTIONS": {"connect_timeout": "5", "sslmode": "require"},
    }


def test_a_socket_directory_rides_as_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X", "postgresql://finops@/finops?host=%2Frun%2Ffinops")

    found = env.database("X", "")

    assert (found["HOST"], found["PORT"], found["OPTIONS"]) == ("/run/finops", "", {"connect_timeout": "5"})
