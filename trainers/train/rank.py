"""Train one rank of a run: connect to the other ranks, train with them, disconnect."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from datetime import timedelta

from trainers.contract import Emit, Rank, RunResult, RunSpec, Workspace
from trainers.deepspeed import deepspeed_for
from trainers.errors import LostRank
from trainers.train.loop import train

_SECONDS_TO_MEET = 120
_SIGNS = ("gloo/", "Gloo connectFullMesh", "NCCL error", "NCCL communicator", "closed by peer")
"""In a RuntimeError of torch about another rank; gloo's have the line of its source."""


def train_rank(
    spec: RunSpec,
    emit: Emit,
    workspace: Workspace,
    *,
    rank: Rank,
    listener: socket.socket | None = None,
) -> RunResult:
    """Do one rank's part of a run, in a process of its own.

    Every executor calls it once in each of the `spec.ranks` processes. A run of one rank without
    DeepSpeed connects to none.

    Args:
        spec: The run.
        emit: Called with every event, on rank 0 alone. It may raise StopRun; the starter of the
            ranks ends the others.
        workspace: Folders and threads, shared by the ranks.
        rank: This rank.
        listener: On rank 0, a socket that listens on the rank's master port, bound by the one who
            chose the port, so that no other program takes it meanwhile. Without it the port is
            bound here.

    Returns:
        The same result on every rank.

    Raises:
        LostRank: Another rank has ended; its own error has the reason.
    """
    if workspace.folders:
        spec = spec.placed(workspace.folders)
    if spec.ranks == 1 and spec.deepspeed is None:
        with deepspeed_for(spec):
            return train(spec, emit, workspace)
    try:
        with meet(rank, listener), deepspeed_for(spec):
            return train(spec, emit, workspace, rank=rank)
    except Exception as error:
        if not says_peer_ended(error):
            raise
        raise LostRank(f"rank {rank.rank} lost another: {str(error).splitlines()[0]}") from error


@contextlib.contextmanager
def meet(rank: Rank, listener: socket.socket | None = None) -> Iterator[None]:
    """Open torch's process group, which accelerate and DeepSpeed use.

    Args:
        rank: This rank.
        listener: As for `train_rank`.
    """
    import torch
    from torch import distributed
    from torch._C._distributed_c10d import TCPStore

    # As torchrun sets them: accelerate and DeepSpeed read them, with or without a group.
    os.environ |= {
        "RANK": str(rank.rank),
        "LOCAL_RANK": str(rank.local_rank),
        "WORLD_SIZE": str(rank.world_size),
        "LOCAL_WORLD_SIZE": str(rank.world_size),
        "MASTER_ADDR": rank.master_address,
        "MASTER_PORT": str(rank.master_port),
        "OMP_NUM_THREADS": str(torch.get_num_threads()),  # else accelerate sets another number
    }
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(rank.local_rank % torch.cuda.device_count())
    store = TCPStore(
        rank.master_address,
        rank.master_port,
        rank.world_size,
        rank.rank == 0,
        timedelta(seconds=_SECONDS_TO_MEET),
        wait_for_workers=False,
        master_listen_fd=None if listener is None else listener.detach(),
    )
    distributed.init_process_group(
        "nccl" if cuda else "gloo", store=store, rank=rank.rank, world_size=rank.world_size
    )
    yield
    distributed.destroy_process_group()


def says_peer_ended(error: Exception) -> bool:
    """Return whether an error is about another rank that is gone, not this rank's own."""
    from torch.distributed import DistError

    if isinstance(error, DistError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)
