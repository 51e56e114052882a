"""What is held is counted, and given back once."""

from __future__ import annotations

import pytest

from helpdesk_assets.receiver.admission import Hold, Room
from helpdesk_assets.receiver.rejections import Full


def test_beyond_the_room_nothing_is_taken() -> None:
    room = Room(3, 100)
    first, second = Hold(room), Hold(room)
    first.take_events(2)
    first.take_bytes(60)

    with pytest.raises(Full):
        second.take_events(2)
    with pytest.raises(Full):
        second.take_bytes(41)
    second.take_events(1)
    second.take_bytes(40)
    assert (room.events, room.bytes) == (3, 100)


def test_all_is_given_back_once() -> None:
    room = Room(3, 100)
    hold = Hold(room)
    hold.take_events(2)
    hold.take_bytes(60)
    hold.release()
    hold.release()
    assert (room.events, room.bytes) == (0, 0)


def test_a_post_that_is_larger_than_the_room_is_taken_alone() -> None:
    room = Room(3)
    large, other = Hold(room), Hold(room)
    large.take_events(40)
    with pytest.raises(Full):
        other.take_events(1)
    large.release()
    other.take_events(1)
