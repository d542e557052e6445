"""The losses of the method, as pure functions of tensors on any device.

Shapes: B batch, D embedding, k neighbours, M = B + the neighbours drawn from the memory bank.
Features come as the encoder made them, before normalisation; similarity is always cosine.
Source: Zhang, Shang, Li, ACM MM 2025 (arXiv 2507.06744); each function cites its equations.
"""

from model.losses.contrastive import cosine_similarity, info_nce
from model.losses.global_relation import global_relation
from model.losses.local_relation import local_relation, mine_local_relations
from model.losses.matching import relation_matching

__all__ = [
    "cosine_similarity",
    "global_relation",
    "info_nce",
    "local_relation",
    "mine_local_relations",
    "relation_matching",
]
