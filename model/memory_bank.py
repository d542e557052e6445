"""One remembered feature a modality for every training pair."""

import torch
from torch import Tensor


class MemoryBank:
    """Features of all N training pairs, moved slowly towards what the encoder makes of them.

    image_ND, text_ND: unnormalised float32; rows that were never written are zero. `written_N`
    says which were. It is no module: it stays out of the model's state dict and is saved with the
    trainer's state.
    """

    def __init__(self, num_pairs: int, dim: int, device: torch.device | str = "cpu") -> None:
        if num_pairs < 1 or dim < 1:
            raise ValueError(
                f"bank: expected at least 1 pair and 1 dimension, got {num_pairs} x {dim}"
            )
        self.image_ND = torch.zeros(num_pairs, dim, device=device)
        self.text_ND = torch.zeros(num_pairs, dim, device=device)
        self.written_N = torch.zeros(num_pairs, dtype=torch.bool, device=device)

    @torch.no_grad()
    def update(
        self, index_B: Tensor, image_BD: Tensor, text_BD: Tensor, momentum: float = 0.9
    ) -> None:
        """Write a batch (Eq. 11): a row's first feature is kept as it is, later ones are blended.

        index_B: long, distinct pair numbers. image_BD, text_BD: raw features. momentum: the share
        of the new feature, 0..1.
        """
        share_B1 = torch.where(self.written_N[index_B], momentum, 1.0)[:, None].to(torch.float32)
        self.image_ND[index_B] = torch.lerp(self.image_ND[index_B], image_BD.float(), share_B1)
        self.text_ND[index_B] = torch.lerp(self.text_ND[index_B], text_BD.float(), share_B1)
        self.written_N[index_B] = True

    def state_dict(self) -> dict[str, Tensor]:
        """The bank's tensors by name, for `load_state_dict`."""
        return {"image_ND": self.image_ND, "text_ND": self.text_ND, "written_N": self.written_N}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over saved tensors. Raises ValueError if they are of another size."""
        for name, ours in self.state_dict().items():
            if state[name].shape != ours.shape:
                raise ValueError(
                    f"bank {name}: expected {tuple(ours.shape)}, got {tuple(state[name].shape)}"
                )
            ours.copy_(state[name])
