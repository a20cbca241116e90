"""What a machine that leaves waits for."""

from dataclasses import replace

import pytest

from cloud.decommissions.rules import BlockerKind, SeenDrain, blockers

DRAINED = SeenDrain(has_stopped=True, open_orders=0, open_payments=0, dead_letters=0, conflicts=0)


@pytest.mark.criterion("9.7")
def test_a_machine_is_drained_when_nothing_is_left_to_wait_for() -> None:
    assert blockers(DRAINED) == ()


@pytest.mark.criterion("9.7")
@pytest.mark.parametrize(
    ("seen", "kind", "count"),
    [
        (replace(DRAINED, has_stopped=False), BlockerKind.STILL_SELLING, 1),
        (replace(DRAINED, open_orders=2), BlockerKind.OPEN_ORDERS, 2),
        (replace(DRAINED, open_payments=3), BlockerKind.OPEN_PAYMENTS, 3),
        (replace(DRAINED, dead_letters=4), BlockerKind.DEAD_LETTERS, 4),
        (replace(DRAINED, conflicts=5), BlockerKind.CONFLICTS, 5),
    ],
)
def test_each_thing_alone_keeps_it(seen: SeenDrain, kind: BlockerKind, count: int) -> None:
    assert [(blocker.kind, blocker.count) for blocker in blockers(seen)] == [(kind, count)]
