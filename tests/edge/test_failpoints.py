"""A fail-point ends the process at once, at its own name and turn only."""

import subprocess
import sys

import pytest

from edge.failpoints import CRASH_STATUS

PROGRAM = """
import atexit, sys
from edge.failpoints import Failpoints
atexit.register(print, "cleaned up", flush=True)
failpoints = Failpoints(sys.argv[1])
for name in sys.argv[2:]:
    print(name, flush=True)
    failpoints.hit(name)
"""


@pytest.mark.parametrize(
    ("spec", "said", "status"),
    [
        ("", "a b a a cleaned up", 0),
        ("c", "a b a a cleaned up", 0),
        ("a", "a", CRASH_STATUS),
        ("b", "a b", CRASH_STATUS),
        ("a#2", "a b a", CRASH_STATUS),
        ("a#4", "a b a a cleaned up", 0),
        ("a#2+50", "a b a a", CRASH_STATUS),
    ],
)
def test_only_its_own_turn(spec: str, said: str, status: int) -> None:
    command = [sys.executable, "-c", PROGRAM, spec, "a", "b", "a", "a"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (" ".join(done.stdout.split()), done.returncode) == (said, status)


ON_ANOTHER_THREAD = """
import asyncio
from edge.failpoints import Failpoints

def commit():
    Failpoints("a#1+300").hit("a")
    print("committed", flush=True)

async def main():
    unit = asyncio.create_task(asyncio.to_thread(commit))
    await asyncio.sleep(0.05)
    print("acknowledged", flush=True)
    await unit

asyncio.run(main())
"""


def test_while_it_lingers_the_rest_goes_on_and_the_unit_does_not() -> None:
    done = subprocess.run([sys.executable, "-c", ON_ANOTHER_THREAD], capture_output=True, text=True, timeout=30)
    assert (done.stdout.split(), done.returncode) == (["acknowledged"], CRASH_STATUS)
