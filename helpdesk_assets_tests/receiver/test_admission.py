"""Held requests and bytes are counted, and released exactly once."""

from __future__ import annotations

import pytest

from helpdesk_assets.receiver.admission import Backpressure, Reservation
from helpdesk_assets.receiver.rejections import QueueFull


def test_nothing_is_admitted_beyond_capacity() -> None:
    room = Backpressure(3, 100)
    first, second = Reservation(room), Reservation(room)
    first.reserve_events(2)
    first.reserve_bytes(60)

    with pytest.raises(QueueFull):
        second.reserve_events(2)
    with pytest.raises(QueueFull):
        second.reserve_bytes(41)
    second.reserve_events(1)
    second.reserve_bytes(40)
    assert (room.events, room.bytes) == (3, 100)


def test_reservation_is_released_once() -> None:
    room = Backpressure(3, 100)
    hold = Reservation(room)
    hold.reserve_events(2)
    hold.reserve_bytes(60)
    hold.release()
    hold.release()
    assert (room.events, room.bytes) == (0, 0)


def test_post_larger_than_capacity_is_admitted_alone() -> None:
    room = Backpressure(3)
    large, other = Reservation(room), Reservation(room)
    large.reserve_events(40)
    with pytest.raises(QueueFull):
        other.reserve_events(1)
    large.release()
    other.reserve_events(1)
