"""What values of settings may be, beyond their types. All raise ValueError."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationInfo

from app.secret_files import KEY_SECRET, with_password


def drop_empty(given: object) -> object:
    """An empty secret is none."""
    return given or None


def require_database(url: str | None) -> str | None:
    """One of the two kinds."""
    if url is None or url.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
        return url
    raise ValueError(
        "expected sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME, "
        f"got a URL that starts with {url.split(':')[0][:40]!r}"
    )


def require_place_for_password(
    password: SecretStr | None, given: ValidationInfo
) -> SecretStr | None:
    """In the database's URL."""
    if password is not None and "database_url" in given.data:
        with_password(given.data["database_url"], password.get_secret_value())
    return password


def require_hard_to_guess(key: SecretStr | None) -> SecretStr | None:
    """As `passerby keys create` makes them."""
    if key is None or KEY_SECRET.fullmatch(key.get_secret_value()):
        return key
    raise ValueError("expected `passerby_` and 43 or more of A-Z, a-z, 0-9, '_' and '-'")


def require_port_for_each(port: int | None, given: ValidationInfo) -> int | None:
    """Of several processes, which have the ports after this one."""
    most = 65_536 - given.data.get("processes", 1)
    if port is not None and port > most:
        raise ValueError(f"expected at most {most}: each process has a port, got {port}")
    return port


def require_milvus(uri: str | None) -> str | None:
    """An address, or a file of Milvus Lite."""
    if uri is None or uri.startswith(("http://", "https://")) or uri.endswith(".db"):
        return uri
    raise ValueError(
        f"expected http://HOST:PORT, https://HOST:PORT or a file that ends in .db, got "
        f"{uri.rpartition('@')[2][:100]!r}"
    )


def require_origin(url: str | None) -> str | None:
    """Nothing behind host and port; the host in lower case."""
    if url is None:
        return None
    parts = urlsplit(url)
    bare = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username)
    if parts.scheme not in ("http", "https") or not parts.hostname or not bare:
        raise ValueError(f"expected https://HOST or https://HOST:PORT, got {url[:100]!r}")
    return f"{parts.scheme}://{parts.netloc.lower()}"
