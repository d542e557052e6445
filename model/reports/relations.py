"""How many of the relations that a checkpoint would mine are right (the paper's Fig. 4)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import torch

from model.config import ObjectiveConfig, Recipe
from model.errors import CheckpointError
from model.evaluate import encode_captions, encode_pictures
from model.memory_bank import MemoryBank
from model.relations import RelationReport, measure_relations
from model.reports import published
from model.reports.retrieval import describe, drop_dataset
from model.reports.subject import Loaded, Subject
from model.reports.table import Cell, Table


@dataclass(frozen=True)
class Mining:
    """How relations are mined, out of a recipe."""

    objective: ObjectiveConfig
    batch_size: int
    seed: int
    """Of the order in which pairs fall into batches."""


@dataclass(frozen=True)
class Relations:
    """The relations that one model finds in one split."""

    subject: Subject
    mining: Mining
    found: RelationReport


def measure_mining(loaded: Iterable[Loaded], recipe: Recipe | None) -> tuple[Relations, ...]:
    """Mine each split with features of each model, all made by its final weights.

    recipe: whose thresholds and batch size to mine with; None: those the model was trained by.
    Raises CheckpointError where a model's card does not say them.
    """
    return tuple(
        _measure(each, of_recipe(recipe) if recipe else of_card(each.card, each.subject.model))
        for each in loaded
    )


def _measure(loaded: Loaded, mining: Mining) -> Relations:
    encoder, pairs = loaded.encoder, loaded.pairs
    num_pairs = len(pairs.captions)
    image_ND = encode_pictures(encoder, pairs.pictures)[torch.from_numpy(pairs.picture_of_pair_N)]
    bank = MemoryBank(num_pairs, encoder.dim, encoder.device)
    bank.update(
        torch.arange(num_pairs, device=encoder.device),
        image_ND,
        encode_captions(encoder, pairs.captions),
    )
    found = measure_relations(
        bank,
        pairs.identity_of_pair_N,
        pairs.picture_of_pair_N,
        mining.objective,
        order_N=torch.randperm(num_pairs, generator=torch.Generator().manual_seed(mining.seed)),
        batch_size=mining.batch_size,
    )
    return Relations(loaded.subject, mining, found)


def of_recipe(recipe: Recipe) -> Mining:
    """A recipe's mining."""
    return Mining(recipe.objective, recipe.batch_size, recipe.seed)


def of_card(card: Mapping[str, object], model: str) -> Mining:
    """The mining of the recipe in a checkpoint's card."""
    try:
        recipe = cast("Mapping[str, dict[str, object]]", card["recipe"])
        objective = ObjectiveConfig(**recipe["objective"])  # type: ignore[arg-type]
        return Mining(objective, int(recipe["batch_size"]), int(recipe["seed"]))  # type: ignore[call-overload]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{model}: its card does not say how relations are mined ({error}); name a recipe"
        ) from error


@dataclass(frozen=True)
class RelationsReport:
    """Relations mined within batches and over the set, and the shares that are right."""

    kind: ClassVar[str] = "relations"
    measured: tuple[Relations, ...]

    def table(self) -> Table:
        """A row a model and dataset; the published share below."""
        ours = [_row(m) for m in self.measured]
        subjects = [m.subject for m in self.measured]
        theirs = _published(subjects)
        columns = (
            "local mined",
            "local right %",
            "local right %, other pictures",
            "global mined",
            "global right %",
            "global right %, other pictures",
            "all right %",
        )
        return Table(
            f"Mined relations, {describe(subjects)}",
            *drop_dataset(("model", "dataset", *columns), [*ours, *theirs], subjects),
            notes=(*_explain(self.measured), *((published.NOTE,) if theirs else ())),
        )


def _row(measured: Relations) -> tuple[Cell, ...]:
    found = measured.found
    return (
        measured.subject.model,
        measured.subject.dataset,
        found.local_mined,
        found.local_right,
        found.local_right_pictures,
        found.global_mined,
        found.global_right,
        found.global_right_pictures,
        share_right(found),
    )


def share_right(found: RelationReport) -> float | None:
    """The share (%) of all mined relations, local and global, that is right."""
    parts = [(found.local_mined, found.local_right), (found.global_mined, found.global_right)]
    mined = sum(num for num, _ in parts)
    return sum(num * (share or 0.0) for num, share in parts) / mined if mined else None


def _published(subjects: Sequence[Subject]) -> list[tuple[Cell, ...]]:
    datasets = dict.fromkeys(s.dataset for s in subjects if s.split == "train")
    label = published.name_row(published.METHOD)
    return [
        (label, dataset, *[None] * 6, published.RELATIONS_RIGHT[dataset])
        for dataset in datasets
        if dataset in published.RELATIONS_RIGHT
    ]


def _explain(measured: Sequence[Relations]) -> list[str]:
    ways = {}
    for each in measured:
        mining, objective = each.mining, each.mining.objective
        ways[each.subject.model] = (
            f"{each.subject.model}: local by {objective.modality}, cosine above "
            f"{objective.image_threshold:g} (pictures) and {objective.text_threshold:g} "
            f"(captions), batches of {mining.batch_size}; global by {objective.anchor}, top "
            f"{objective.top_k} above {objective.bank_threshold:g}."
        )
    easy = "Other pictures: without two captions of one picture, whose relation is easy."
    return [*ways.values(), easy]
