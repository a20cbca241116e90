"""Who is woken by what."""

import asyncio

from edge.watch import Watch


async def test_a_touch_wakes_those_who_watch_the_key_and_nobody_else() -> None:
    watch = Watch()
    with watch.on("a", "b") as first, watch.on("b") as second, watch.on("c") as third:
        watch.touch(["b"])
        assert (first.is_set(), second.is_set(), third.is_set()) == (True, True, False)


async def test_a_change_after_the_read_is_not_missed() -> None:
    watch = Watch()
    with watch.on("a") as changed:
        watch.touch(["a"])
        changed.clear()
        watch.touch(["a"])
        async with asyncio.timeout(1):
            await changed.wait()


async def test_a_watch_that_ends_is_forgotten() -> None:
    watch = Watch()
    with watch.on("a", "b") as outer:
        with watch.on("a") as inner:
            pass
        watch.touch(["a"])
        assert (outer.is_set(), inner.is_set()) == (True, False)
    outer.clear()
    watch.touch(["a", "b"])
    assert not outer.is_set()
    assert vars(watch) == {"_waiting": {}}
