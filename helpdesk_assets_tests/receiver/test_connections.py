"""Which connections are held when more come than the process has descriptors for."""

from __future__ import annotations

import resource

import pytest

from helpdesk_assets.receiver.connections import OpenConnections, connection_limit


class FakeConnection:
    def __init__(self, *, is_verified: bool = False) -> None:
        self.is_verified = is_verified
        self.is_open = True

    def abort(self) -> None:
        self.is_open = False


def test_longest_waiting_connection_gives_way_to_a_new_one() -> None:
    connections = OpenConnections(3)
    held = [FakeConnection(is_verified=number == 0) for number in range(4)]
    for connection in held[:3]:
        assert connections.admit(connection)
    connections.waits_again(held[1])

    assert connections.admit(held[3])
    assert [connection.is_open for connection in held] == [True, True, False, True]
    assert (len(connections), connections.evicted) == (3, 1)


def test_verified_connections_are_never_closed_for_others() -> None:
    connections = OpenConnections(2)
    held = [FakeConnection(is_verified=True) for _ in range(2)]
    for connection in held:
        connections.admit(connection)

    assert not connections.admit(FakeConnection())
    assert all(connection.is_open for connection in held)
    assert connections.describe() == {
        "open": 2, "limit": 2, "evicted": 0, "timed_out": 0, "refused": 1,
    }  # fmt: skip


def test_closed_connection_makes_room() -> None:
    connections = OpenConnections(1)
    first, second = FakeConnection(is_verified=True), FakeConnection()
    connections.admit(first)
    connections.forget(first)
    connections.waits_again(first)
    assert connections.admit(second)
    assert len(connections) == 1


@pytest.mark.parametrize(
    ("descriptors", "limit"), [(256, 192), (1024, 960), (64, 32), (1_000_000, 5500), (-1, 5500)]
)
def test_descriptors_limit_connections(
    monkeypatch: pytest.MonkeyPatch, descriptors: int, limit: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (descriptors, 1_000_000))
    assert connection_limit(5000) == limit
