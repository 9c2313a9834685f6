"""Frames: what is written is read back, and damage is told from an unfinished tail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.receipts import MOST_INTEGER, Attempted, Frame, Progress, Record, Stop, decode_frames, encode, next_frame
from tests.billing.receipts import intent, settle

RECORDS: tuple[Record, ...] = (intent("call_1"), Progress("call_1", 1, 2, 3, 4), settle("call_1"), settle("call_2", attempts=()))
FRAMES = [encode(record) for record in RECORDS]
WHOLE = b"".join(FRAMES)


def test_records_read_back_with_their_offsets() -> None:
    frames = decode_frames(WHOLE)
    ends = [sum(map(len, FRAMES[: n + 1])) for n in range(len(FRAMES))]
    expected = [Frame(r, f[8:], e - len(f), e) for r, f, e in zip(RECORDS, FRAMES, ends, strict=True)]
    assert (list(frames), frames.stop, frames.offset) == (expected, Stop.END, len(WHOLE))


@given(st.integers(1, len(WHOLE) - 1))
def test_a_cut_tail_is_truncated_never_corrupt(length: int) -> None:
    frames = decode_frames(WHOLE[:length])
    records = [frame.record for frame in frames]
    ends = [sum(map(len, FRAMES[:n])) for n in range(len(FRAMES) + 1)]
    whole = max(n for n, end in enumerate(ends) if end <= length)
    assert (records, frames.stop) == (list(RECORDS[:whole]), Stop.END if length in ends else Stop.TRUNCATED)


@given(st.integers(8, len(FRAMES[0]) - 1), st.integers(1, 255))
def test_a_flipped_byte_stops_the_reading_and_the_next_frame_is_found(index: int, flip: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[index] ^= flip
    frames = decode_frames(bytes(damaged))
    assert (list(frames), frames.stop, frames.offset) == ([], Stop.CORRUPT, 0)
    assert next_frame(bytes(damaged), 1) == len(FRAMES[0])


def test_zeros_left_by_a_power_loss_are_no_records() -> None:
    frames = decode_frames(FRAMES[0] + bytes(64), len(FRAMES[0]))
    assert (list(frames), frames.stop, next_frame(bytes(4096), 0)) == ([], Stop.BLANK, None)


def test_a_sound_frame_of_something_else_reads_as_no_record() -> None:
    import zlib

    payload = b"\x93\xa1z\x01\x02"
    data = len(payload).to_bytes(4, "little") + zlib.crc32(payload).to_bytes(4, "little") + payload
    assert list(decode_frames(data)) == [Frame(None, payload, 0, len(data))]


def test_what_a_caller_sends_never_stops_a_receipt() -> None:
    hostile = settle(end_user="a\ud800b", input_tokens=2**80, cost_nanousd=-(2**80), attempts=(Attempted("d", "\udfff", "ok", 200, 2**70),))
    (frame,) = decode_frames(encode(hostile))
    assert frame.record == settle(
        end_user="a?b", input_tokens=MOST_INTEGER, cost_nanousd=-MOST_INTEGER, attempts=(Attempted("d", "?", "ok", 200, MOST_INTEGER),)
    )


@given(st.text(), st.integers(0, 2**63 - 1))
def test_any_label_and_number_survives(label: str, number: int) -> None:
    record = settle(end_user=label, cost_nanousd=number)
    assert [frame.record for frame in decode_frames(encode(record))] == [record]


@pytest.mark.parametrize("offset", [-1, 0, 7])
def test_next_frame_finds_nothing_in_noise(offset: int) -> None:
    assert next_frame(b"\xdc\x00\x26\xa1s" * 40, max(0, offset)) is None
