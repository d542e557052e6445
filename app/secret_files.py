"""Secrets in files of a folder, one each, as container engines mount them: an environment is shown
by `docker inspect` and inherited by every child."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote

from app.errors import CommandError

KEY_SECRET = re.compile(r"passerby_[A-Za-z0-9_-]{43,}")  # as those that we make: 256 random bits
# Read from the environment by the library that speaks to buckets, and from nowhere else.
_OF_LIBRARIES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_USER_AT = re.compile(r"(postgresql(?:\+psycopg)?://[^:@/?#]+)@(.*)", re.DOTALL)


def find_secrets() -> Path | None:
    """The folder that PASSERBY_SECRETS_DIR names, each of its files readable; what libraries look
    for in the environment is there then. Raises CommandError."""
    named = os.environ.get("PASSERBY_SECRETS_DIR")
    if not named:
        return None
    try:
        for file in Path(named).iterdir():
            if file.is_file():
                text = file.read_text(encoding="utf-8").strip()
                if text and file.name.upper() in _OF_LIBRARIES:
                    os.environ.setdefault(file.name.upper(), text)
    except UnicodeDecodeError as error:
        raise CommandError(f"PASSERBY_SECRETS_DIR: {file} is no text in UTF-8") from error
    except OSError as error:
        raise CommandError(
            f"PASSERBY_SECRETS_DIR: {error.filename} can't be read by user {os.getuid()} "
            f"({error.strerror})"
        ) from error
    return Path(named)


def with_password(url: str | None, password: str) -> str:
    """A PostgreSQL URL of a user without a password, with this one.

    Raises ValueError for any other URL, without telling what is in it.
    """
    found = _USER_AT.fullmatch(url or "")
    if found is None:
        raise ValueError(
            "expected PASSERBY_DATABASE_URL to be postgresql://USER@HOST/NAME, with a user and no "
            "password in it"
        )
    return f"{found[1]}:{quote(password, safe='')}@{found[2]}"
