"""The fuzz targets, fed what they begin with and a little more: so that they stay true while nobody fuzzes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import sse, wire


@pytest.mark.parametrize("seed", sse.SEEDS)
def test_the_sse_target_passes_its_seeds(seed: bytes) -> None:
    sse.check(seed)


@pytest.mark.parametrize("seed", wire.SEEDS)
def test_the_wire_target_passes_its_seeds(seed: bytes) -> None:
    wire.check(seed)


def damaged(seeds: list[bytes]) -> st.SearchStrategy[bytes]:
    """A seed of which a piece is replaced by any bytes, or by a piece of another; or any bytes."""

    @st.composite
    def draw_from(draw: st.DrawFn) -> bytes:
        whole, other = draw(st.sampled_from(seeds)), draw(st.sampled_from(seeds))
        start, first = draw(st.integers(0, len(whole))), draw(st.integers(0, len(other)))
        piece = draw(st.binary(max_size=8)) or other[first : first + draw(st.integers(0, 40))]
        return whole[:start] + piece + whole[start + draw(st.integers(0, 16)) :]

    return st.binary() | draw_from()


@settings(deadline=None)  # a loaded machine is slow, not wrong
@given(damaged(sse.SEEDS))
def test_the_sse_target_passes_any_bytes(data: bytes) -> None:
    sse.check(data)


@settings(deadline=None)  # a loaded machine is slow, not wrong
@given(damaged(wire.SEEDS))
def test_the_wire_target_passes_any_bytes(data: bytes) -> None:
    wire.check(data)
