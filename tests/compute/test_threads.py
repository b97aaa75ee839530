"""Pieces of work side by side come back in their order."""

import pytest
import torch

from nextitem.compute.threads import side_by_side


@pytest.mark.parametrize("threads", [1, 3])
def test_what_comes_back_is_in_order_and_torch_has_as_many_threads_as_before(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = side_by_side(lambda n: (n * n, torch.is_grad_enabled(), torch.get_num_threads()), [*range(20)])
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert found == [(n * n, False, 1) for n in range(20)]


def test_what_a_piece_raises_is_raised() -> None:
    def fails(piece: int) -> int:
        raise ValueError(f"piece {piece}")

    with pytest.raises(ValueError, match="piece 7"):
        side_by_side(fails, [7])
    assert side_by_side(fails, []) == []
