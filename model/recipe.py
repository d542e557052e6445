"""Recipes by name: YAML over typed settings, with overrides."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import cast, get_type_hints

import yaml

from model.config import Architecture, ObjectiveConfig, OptimConfig, Recipe, SyntheticConfig

FOLDER = Path(__file__).parent / "recipes"
PLAIN = {int: (int,), float: (int, float), bool: (bool,), str: (str,)}
"""Types of YAML values that a setting of this type takes."""
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


def _read(name_or_path: str) -> dict[str, object]:
    path = FOLDER / f"{name_or_path}.yaml"
    if not path.exists():
        path = Path(name_or_path)
    if not path.is_file():
        raise ValueError(
            f"recipe {name_or_path!r}: expected a YAML file or one of {', '.join(list_recipes())}"
        )
    try:
        settings = yaml.load(path.read_text(), _Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML: {error}") from error
    if not isinstance(settings, dict):
        raise ValueError(f"{path}: expected a mapping, got {type(settings).__name__}")
    settings.setdefault("name", path.stem)
    parent = settings.pop("extends", None)
    return _merge(_read(str(parent)), settings) if parent else settings


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
    nested: object = yaml.load(value, _Loader)
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
    known = {field.name for field in fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        where = f"{name}.{unknown[0]}" if name else unknown[0]
        raise ValueError(f"{where}: no such setting, known: {', '.join(sorted(known))}")
    types = get_type_hints(kind)
    for key, value in values.items():
        plain = PLAIN.get(types[key])
        if plain is not None and type(value) not in plain:
            where = f"{name}.{key}" if name else key
            raise ValueError(f"{where}: expected {types[key].__name__}, got {value!r}")
    return kind(**values)
