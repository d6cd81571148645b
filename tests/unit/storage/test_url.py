"""Storage URLs: what is refused, and that no password is shown by position, letters or mistake."""

from pathlib import Path

import pytest

from storage.environment import seconds
from storage.errors import StorageError
from storage.url import one_line_errors, parse, redacted, sqlite_file, without_passwords

SECRET = "hunter2"


@pytest.mark.parametrize("inside", ["", ":", "/", "#", "?", "%", "&", "=", "%40", "!$'()*+,;"])
def test_a_password_with_any_other_letter_works_and_is_hidden(inside: str) -> None:
    url = f"postgresql://me:hun{inside}{SECRET}@host:5433/study?sslmode=require"
    assert parse(url).host == "host"
    assert redacted(url) == "postgresql://me:***@host:5433/study?sslmode=require"


@pytest.mark.parametrize(
    "given",
    [
        f"postgresql://me:p@{SECRET}@host/study",
        f"postgresql://me:p@{SECRET}/x?y#z@host/study",
        f"postgresql://me@home:{SECRET}@host/study",
        f"postgresql://{SECRET}@home@host/study",
        f"postgresql://home/me:{SECRET}@host/study",
        f"postgresql://me:x@host/study?{SECRET}@y=z",
        f"postgresql://host/study?host=me:{SECRET}@other",
    ],
)
def test_an_at_sign_in_a_wrong_place_is_refused_with_the_remedy(given: str) -> None:
    with pytest.raises(StorageError, match="write @ as %40") as refused:
        parse(given)
    assert SECRET not in str(refused.value) and refused.value.__cause__ is None


@pytest.mark.parametrize(
    "given",
    [
        f"postgresql://me:{SECRET}",
        "postgresql://me:1234567/study",
        f"postgresql://me:x\n{SECRET}@host/study",
        f"me:{SECRET}@host/study",
        f"postgresql:/me:{SECRET}@host/study",
        f"{SECRET}",
        "",
        " ",
        "sqlite:///a\0b",
    ],
)
def test_what_is_no_url_is_not_repeated(given: str) -> None:
    with pytest.raises(StorageError, match="not a database URL") as refused:
        parse(given)
    assert SECRET not in str(refused.value) and "1234567" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@pytest.mark.parametrize(
    "key", ["password", "PGPASSWORD", "pgpassword", "passfile", "sslpassword", "pass", "token", "options"]
)
def test_behind_the_question_mark_only_what_is_known_to_be_no_secret_is_shown(key: str) -> None:
    shown = redacted(f"postgresql://me@host/study?{key}={SECRET}&sslmode=require&application_name=x%3Ay")
    assert shown == "postgresql://me@host/study?sslmode=require&***"
    assert redacted(f"postgresql://host/study?{key}={SECRET}") == "postgresql://host/study?***"


def test_a_user_that_holds_the_password_is_hidden() -> None:
    assert SECRET not in redacted(f"postgresql://me%3A{SECRET}@host/study")


def test_a_message_keeps_its_letters() -> None:
    """A password is not searched for in a message: what is marked there would say what it is."""
    url = "postgresql://e:e@host/study"
    with pytest.raises(StorageError) as refused, one_line_errors(url):
        raise OSError("the server refused the connection")
    assert "the server refused the connection" in str(refused.value)
    assert str(refused.value).startswith("storage: postgresql://e:***@host/study: ")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"no 'postgresql://me:{SECRET}@h/d', sorry", "no 'postgresql://me:***@h/d', sorry"),
        (f"postgresql://me:a@{SECRET}@h", "postgresql://me:***@h"),
        (f"mysql+x://:{SECRET}/y@h/d", "mysql+x://:***@h/d"),
        (f"https://me:{SECRET}", "https://me:***"),
        (f"x://h/d?Password={SECRET}&sslmode=y", "x://h/d?Password=***&sslmode=y"),
        (f"x://h/d?a=b&PGPASSWORD={SECRET}", "x://h/d?a=b&PGPASSWORD=***"),
        ("http://127.0.0.1:8080/dashboard shows", "http://127.0.0.1:8080/dashboard shows"),
        ("postgresql://me:***@h:5432/d?***", "postgresql://me:***@h:5432/d?***"),
        ("space.yaml:3:1: a: b@c", "space.yaml:3:1: a: b@c"),
    ],
)
def test_every_message_is_gone_over(text: str, shown: str) -> None:
    assert without_passwords(text) == shown


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert sqlite_file("sqlite:///~/x.db") == tmp_path / "x.db"
    assert sqlite_file("sqlite:///runs/~/x.db") == Path("runs/~/x.db")
    with pytest.raises(StorageError, match="no home folder is known for '~nobody-of-ours'"):
        parse("sqlite:///~nobody-of-ours/x.db")


def test_two_slashes_are_one_too_few() -> None:
    with pytest.raises(StorageError, match="three slashes"):
        parse("sqlite://folder/x.db")


@pytest.mark.parametrize("text", ["30s", "10m", "0", "-1", "nan", "inf", "1e999", "half", "1,5", "0x10"])
def test_a_variable_that_is_no_number_of_seconds_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("SEARCH_LEASE_SECONDS", text)
    with pytest.raises(
        StorageError, match=f"SEARCH_LEASE_SECONDS: '{text}' is not a number of seconds.*write 30"
    ):
        seconds("SEARCH_LEASE_SECONDS", 30.0)


@pytest.mark.parametrize(("text", "number"), [("", 30.0), (" ", 30.0), ("6", 6.0), (" 0.5 ", 0.5)])
def test_an_empty_variable_is_as_if_it_were_not_set(
    monkeypatch: pytest.MonkeyPatch, text: str, number: float
) -> None:
    monkeypatch.setenv("SEARCH_LEASE_SECONDS", text)
    assert seconds("SEARCH_LEASE_SECONDS", 30.0) == number
