"""Held requests and bytes are counted, and released exactly once."""

from __future__ import annotations

import pytest

from helpdesk_assets.receiver.admission import Backpressure, Reservation
from helpdesk_assets.receiver.rejections import QueueFull


def test_nothing_is_admitted_beyond_capacity() -> None:
    room = Backpressure(3, 100)
    first, second = Reservation(room), Reservation(room)
    first.verified()
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
    room = Backpressure(3, 100)
    large, other = Reservation(room), Reservation(room)
    large.reserve_events(40)
    with pytest.raises(QueueFull):
        other.reserve_events(1)
    large.release()
    other.reserve_events(1)


def test_unverified_bodies_give_way_oldest_first() -> None:
    room = Backpressure(3, 100)
    stopped: list[int] = []
    strangers = [Reservation(room) for _ in range(4)]
    for number, stranger in enumerate(strangers):
        stranger.on_eviction(lambda number=number: stopped.append(number))  # type: ignore[misc]
        stranger.reserve_bytes(25)

    vendor = Reservation(room)
    vendor.reserve_bytes(30)
    assert (stopped, room.bytes) == ([0, 1], 80)
    with pytest.raises(QueueFull):
        strangers[0].reserve_bytes(1)
    assert room.bytes == 80


def test_verified_bodies_keep_their_place() -> None:
    room = Backpressure(3, 100)
    vendor, stranger = Reservation(room), Reservation(room)
    vendor.reserve_bytes(60)
    vendor.verified()
    stranger.reserve_bytes(40)

    with pytest.raises(QueueFull):
        Reservation(room).reserve_bytes(41)
    assert (vendor.was_evicted, stranger.was_evicted, room.bytes) == (False, True, 60)
    vendor.release()
    assert room.bytes == 0
