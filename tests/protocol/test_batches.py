"""A batch is consecutive samples, also where many messages came at once and some of them are missing."""

import pytest
from wire_samples import FORCE, described, status, steady, wire

from nexuslink.protocol.decoder import Batch
from nexuslink.protocol.framing import frame


def indexes(batches: list[Batch]) -> dict[tuple[int, int], bytes]:
    """(stream, number of the sample) -> its time and values."""
    return {
        (batch.stream, batch.first_index + k): batch.t_us[k].tobytes() + batch.raw[k].tobytes()
        for batch in batches
        for k in range(len(batch.raw))
    }


@pytest.mark.parametrize("streams", [(FORCE,), (0, 1)], ids=["one stream", "two streams"])
@pytest.mark.parametrize("extra", [[], [status(40)]], ids=["data only", "with a status"])
def test_every_sample_has_its_number(streams: tuple[int, ...], extra: list[bytes]) -> None:
    messages = [m for seq, m in enumerate(steady(40, streams)) if seq not in (3, 4, 11, 25, 26, 27)] + extra
    one_by_one, at_once = described(), described()
    expected = indexes([batch for message in messages for batch in one_by_one.feed(frame(message)).batches])
    batches = at_once.feed(wire(messages)).batches
    assert indexes(batches) == expected and len(expected) == 34 * 5
    assert at_once.link == one_by_one.link


def test_without_gaps_neighbours_are_still_one_batch() -> None:
    assert [len(batch.raw) for batch in described().feed(wire(steady(40))).batches] == [100, 100]
