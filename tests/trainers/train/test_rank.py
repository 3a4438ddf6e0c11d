"""A rank tells its own errors from those that say that another rank has ended."""

from __future__ import annotations

import pytest

from trainers.train.rank import says_peer_ended

_PAIR = "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:534] "


@pytest.mark.parametrize(
    ("text", "peers"),
    [
        (f"{_PAIR}Connection closed by peer [127.0.0.1]:29500", True),
        (f"{_PAIR}writev [127.0.0.1]:29500: Broken pipe", True),
        ("Gloo connectFullMesh failed with timed out", True),
        ("NCCL communicator was aborted on rank 1.", True),
        ("my own gloo words", False),
        ("the tokenizer's server: Connection reset by peer", False),
        ("Broken pipe", False),
    ],
)
def test_a_ranks_own_error_is_told_from_one_about_another(text: str, peers: bool) -> None:
    """Words that a loader of the user's may say as well are no sign."""
    assert says_peer_ended(RuntimeError(text)) is peers
