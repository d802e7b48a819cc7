"""One process or many: what `torchrun` says in the environment."""

from __future__ import annotations

import os

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel


class Workers:
    """This process's place among the workers of a training; alone where `torchrun` is not used.

    NCCL where there are GPUs, gloo on CPUs.
    """

    def __init__(self) -> None:
        self.rank = int(os.environ.get("RANK", 0))
        self.count = int(os.environ.get("WORLD_SIZE", 1))
        self.device = torch.device("cpu")
        if torch.cuda.is_available():
            self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
            torch.cuda.set_device(self.device)
        if self.count > 1 and not distributed.is_initialized():
            distributed.init_process_group("nccl" if self.device.type == "cuda" else "gloo")

    @property
    def first(self) -> bool:
        """Whether this one reports and writes files."""
        return self.rank == 0

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model, its gradients averaged over all workers."""
        return DistributedDataParallel(model) if self.count > 1 else model

    def wait(self) -> None:
        """Wait until all workers have come here."""
        if self.count > 1:
            distributed.barrier()
