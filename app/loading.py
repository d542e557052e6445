"""The models and detectors that settings name. The model package is imported only when it is
needed: torch takes seconds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from app.errors import CommandError
from app.models.encoders import Encoder
from app.models.start import FIRST
from app.plugins import make_plugin
from app.settings import Settings
from indexer.protocols import Detector

_ENCODER_PARTS = (
    *("fingerprint", "dim", "image_size", "is_steady"),
    *("encode_image", "encode_text", "is_truncated"),
)
_DETECTOR_PARTS = ("fingerprint", "max_side_px", "detect")


def full_name(name: str | None) -> str | None:
    """A model's name that loads the same from every working folder of this machine."""
    from model.card import SHIPPED, find_checkpoint

    if name is None or name.startswith("python:"):
        return name
    if name.startswith("file:"):
        return f"file:{Path(name.removeprefix('file:')).absolute()}"
    folder = find_checkpoint(name)
    return name if folder is None or folder.parent == SHIPPED else str(folder.absolute())


def load_encoder(settings: Settings) -> Encoder:
    """The model that the settings name, after a forward pass on each side worked.

    Raises CommandError with the reason in one line.
    """
    name = settings.model or FIRST
    if name.startswith("python:"):
        encoder: Encoder = make_plugin("PASSERBY_MODEL", "model", name, _ENCODER_PARTS)
    else:
        encoder = _load_runtime(settings, name)
    height_px, width_px = encoder.image_size
    try:
        picture_BD = encoder.encode_image(np.zeros((1, height_px, width_px, 3), np.uint8))
        text_BD = encoder.encode_text(["a person"])
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        raise CommandError(f"model {name!r} makes no vectors: {said}") from error
    if not np.isfinite(picture_BD).all() or not np.isfinite(text_BD).all():
        raise CommandError(f"model {name!r} gives no finite numbers: fetch it again")
    return encoder


def _load_runtime(settings: Settings, name: str) -> Encoder:
    from model.errors import ModelError
    from model.runtime import Wish, load_runtime

    wish = Wish(settings.runtime, settings.precision, settings.model_dir)
    try:
        return load_runtime(name, settings.device, settings.num_threads, wish)
    except ModelError as error:  # it names the model
        raise CommandError(str(error)) from error
    except ValueError as error:
        name, _, reason = str(error).partition(": ")  # as device: 'tpu' is not here
        raise CommandError(f"PASSERBY_{name.upper()}: {reason}") from error


def load_detector(settings: Settings) -> Detector:
    """The detector that the settings name, after it looked at an empty frame.

    Raises CommandError with the reason in one line.
    """
    assert settings.detector is not None
    detector: Detector
    if settings.detector.startswith("python:"):
        detector = make_plugin("PASSERBY_DETECTOR", "detector", settings.detector, _DETECTOR_PARTS)
    else:
        from model.detector import load_detector as load_torch_detector
        from model.errors import ModelError

        try:
            detector = load_torch_detector(settings.detector, settings.device)
        except ModelError as error:
            raise CommandError(f"PASSERBY_DETECTOR: {error}") from error
    try:
        detector.detect([np.zeros((360, 640, 3), np.uint8)])
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        raise CommandError(
            f"PASSERBY_DETECTOR: {settings.detector} fails on an empty frame: {said}"
        ) from error
    return detector


def read_model_card(name: str) -> Mapping[str, object]:
    """What the checkpoint of this name says of itself, without loading its weights; empty for one
    that is none of ours. Raises CommandError."""
    from model.card import find_checkpoint, read_card
    from model.errors import ModelError

    folder = find_checkpoint(name)
    try:
        return {} if folder is None else read_card(folder)
    except ModelError as error:
        raise CommandError(str(error)) from error
