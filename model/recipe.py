"""Recipes by name: YAML over typed settings, with overrides."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Literal, cast, get_args, get_origin, get_type_hints

import yaml

from model.config import Architecture, ObjectiveConfig, OptimConfig, Recipe, SyntheticConfig

FOLDER = Path(__file__).parent / "recipes"
SECTIONS = {
    "init": Architecture,
    "objective": ObjectiveConfig,
    "optim": OptimConfig,
    "synthetic": SyntheticConfig,
}


class _Loader(yaml.SafeLoader):
    """YAML that reads 2e-3 as the number that everybody means by it."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def list_recipes() -> list[str]:
    """Names of the recipes that ship."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """A shipped recipe or a YAML file, with `section.field=value` overrides on top.

    A recipe may extend another by `extends: NAME`. Raises ValueError naming file and field for
    whatever the settings do not know or accept.
    """
    settings = _read(name_or_path)
    for override in overrides:
        settings = _merge(settings, _parse_override(override))
    try:
        return _build(settings)
    except (TypeError, ValueError) as error:
        raise ValueError(f"recipe {name_or_path}: {error}") from error


def _read(name_or_path: str, extended_by: tuple[Path, ...] = ()) -> dict[str, object]:
    path = FOLDER / f"{name_or_path}.yaml"
    if not path.exists():
        path = Path(name_or_path)
    if not path.is_file():
        raise ValueError(
            f"recipe {name_or_path!r}: expected a YAML file or one of {', '.join(list_recipes())}"
        )
    if path in extended_by:
        raise ValueError(f"{path}: extends itself")
    try:
        settings = _parse(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(settings, dict):
        raise ValueError(f"{path}: expected a mapping, got {type(settings).__name__}")
    settings.setdefault("name", path.stem)
    parent = settings.pop("extends", None)
    return _merge(_read(str(parent), (*extended_by, path)), settings) if parent else settings


def _parse(text: str) -> object:
    """Raises ValueError, in one line."""
    try:
        return cast("object", yaml.load(text, _Loader))
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {' '.join(str(error).split())}") from error


def _merge(base: Mapping[str, object], top: Mapping[str, object]) -> dict[str, object]:
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(cast("Mapping[str, object]", below), value) if both else value  # type: ignore[arg-type]
    return merged


def _parse_override(override: str) -> dict[str, object]:
    path, equals, value = override.partition("=")
    if not equals or not path:
        raise ValueError(f"override {override!r}: expected section.field=value")
    try:
        nested = _parse(value)
    except ValueError as error:
        raise ValueError(f"override {override!r}: {error}") from error
    for part in reversed(path.split(".")):
        nested = {part: nested}
    return cast("dict[str, object]", nested)


def _build(settings: Mapping[str, object]) -> Recipe:
    built: dict[str, object] = {}
    for key, value in settings.items():
        section = SECTIONS.get(key)
        if section is not None and isinstance(value, Mapping):
            value = _build_section(section, key, value)
        built[key] = value
    return cast(Recipe, _build_section(Recipe, "", built))


def _build_section(kind: type, name: str, values: Mapping[str, object]) -> object:
    assert is_dataclass(kind)
    known = {field.name: field for field in fields(kind)}
    prefix = f"{name}." if name else ""
    for unknown in sorted(str(key) for key in values.keys() - known.keys()):
        names = ", ".join(sorted(known))
        raise ValueError(f"{prefix}{unknown}: no such setting, known: {names}")
    for key, field in known.items():
        has_default = (field.default, field.default_factory) != (MISSING, MISSING)
        if not has_default and key not in values:
            raise ValueError(f"{prefix}{key}: expected this setting, got none")
    types = get_type_hints(kind)
    for key, value in values.items():
        if not _fits(value, types[key]):
            raise ValueError(f"{prefix}{key}: expected {_describe(types[key])}, got {value!r}")
    return kind(**values)


def _fits(value: object, kind: object) -> bool:
    """Whether a value of YAML is of a setting's type; a Literal's is checked by the settings."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return any(_fits(value, part) for part in parts)
    if origin is tuple:
        listed = isinstance(value, list | tuple) and len(value) == len(parts)
        return listed and all(map(_fits, cast("Sequence[object]", value), parts))
    if origin is Mapping:
        return isinstance(value, Mapping)
    return origin is Literal or type(value) in ((int, float) if kind is float else (kind,))


def _describe(kind: object) -> str:
    plain = isinstance(kind, type) and not get_args(kind)
    return kind.__name__ if plain else str(kind).replace(f"{Architecture.__module__}.", "")  # type: ignore[attr-defined]
