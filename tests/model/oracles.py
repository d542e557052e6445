"""The losses again, slow and plain, straight from the equations, to hold the fast ones to."""

import math

import torch
from torch import Tensor


def cosine(a: Tensor, b: Tensor) -> Tensor:
    return (a @ b) / (a.norm() * b.norm())


def log_softmax(row: list[Tensor]) -> list[Tensor]:
    highest = max(float(x.detach()) for x in row)
    total = sum(torch.exp(x - highest) for x in row)
    return [x - highest - torch.log(total) for x in row]


def info_nce(image: Tensor, text: Tensor, temperature: float) -> Tensor:
    n = len(image)
    losses = []
    for i in range(n):
        to_text = log_softmax([cosine(image[i], text[j]) / temperature for j in range(n)])
        to_image = log_softmax([cosine(image[j], text[i]) / temperature for j in range(n)])
        losses.append(-(to_text[i] + to_image[i]) / 2)
    return sum(losses) / n


def relation_matching(
    image: Tensor, text: Tensor, target: list[list[float]], temperature: float, eps: float = 1e-6
) -> Tensor:
    n = len(image)
    total = torch.zeros((), dtype=image.dtype)
    for queries, keys in ((image, text), (text, image)):
        for i in range(n):
            mass = sum(math.exp(t) for t in target[i] if t != 0)
            log_p = log_softmax([cosine(queries[i], keys[j]) / temperature for j in range(n)])
            for j in range(n):
                q = math.exp(target[i][j]) / mass if target[i][j] != 0 else 0.0
                total = total + torch.exp(log_p[j]) * (log_p[j] - math.log(q + eps)) / n
    return total


def local_relation(
    image: Tensor,
    text: Tensor,
    image_threshold: float,
    text_threshold: float,
    soft_weight: float,
    temperature: float,
    modality: str,
) -> Tensor:
    n = len(image)
    target = [[0.0] * n for _ in range(n)]
    for i in range(n):
        for j in range(n):
            by_image = (
                float(cosine(image[i], image[j]).detach()) > image_threshold or modality == "text"
            )
            by_text = (
                float(cosine(text[i], text[j]).detach()) > text_threshold or modality == "image"
            )
            if by_image and by_text:
                target[i][j] = soft_weight
        target[i][i] = 1.0
    return relation_matching(image, text, target, temperature)


def find_neighbours(query: Tensor, own: int, bank: Tensor, top_k: int, threshold: float) -> list:
    others = [(float(cosine(query, bank[n])), n) for n in range(len(bank)) if n != own]
    others.sort(key=lambda pair: -pair[0])
    return [(n, s) for s, n in others[:top_k] if s > threshold]


def global_relation(
    image: Tensor,
    text: Tensor,
    index: list[int],
    bank_image: Tensor,
    bank_text: Tensor,
    top_k: int,
    threshold: float,
    anchor: str,
    temperature: float,
) -> Tensor:
    if anchor == "both":
        args = (image, text, index, bank_image, bank_text, top_k, threshold)
        halves = [global_relation(*args, side, temperature) for side in ("image", "text")]
        return (halves[0] + halves[1]) / 2
    queries, bank = (image, bank_image) if anchor == "image" else (text, bank_text)
    rows_image, rows_text, group = list(image), list(text), list(range(len(image)))
    weight = {}
    for i in range(len(image)):
        found = find_neighbours(queries[i].detach(), index[i], bank, top_k, threshold)
        scores = [1.0] + [s for _, s in found]
        mass = sum(math.exp(s) for s in scores)
        for n, s in found:
            weight[(i, len(rows_image))] = 1 - math.exp(s) / mass
            rows_image.append(bank_image[n])
            rows_text.append(bank_text[n])
            group.append(i)
    m = len(rows_image)
    target = [
        [weight.get((a, b), 1.0) if group[a] == group[b] else 0.0 for b in range(m)]
        for a in range(m)
    ]
    return relation_matching(torch.stack(rows_image), torch.stack(rows_text), target, temperature)
