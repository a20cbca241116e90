"""A hand in the simulated world: `python -m firmware.simulator.control STATE coin 1000`.

The simulator listens on STATE/control.sock; one line is one request, one line of JSON its answer:
  coin MINOR · jam SLOT · unjam SLOT · restock SLOT COUNT · link down · link up · door open · door close
  defrost on · defrost off · button down · button up · beam blocked · beam free
  temperature ZONE DEGREES (Celsius) · status
"""

import asyncio
import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from firmware.simulator.board import CoinReturned, SimulatedBoard

SOCKET = "control.sock"
DEADLINE_S = 5
MAX_COUNT = 1000


class ControlServer:
    """Takes requests for one board. `status` tells what the device itself knows."""

    def __init__(self, board: SimulatedBoard, status: Callable[[], dict[str, object]]) -> None:
        self._board = board
        self._status = status

    async def serve(self, state: Path) -> None:
        """For ever."""
        (state / SOCKET).unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._converse, _address(state))
        async with server:
            await server.serve_forever()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await asyncio.wait_for(reader.readline(), DEADLINE_S)
            writer.write(json.dumps(self._answer(line.decode().split())).encode() + b"\n")
            await asyncio.wait_for(writer.drain(), DEADLINE_S)
        except (OSError, ValueError, TimeoutError) as error:
            print(json.dumps({"event": "control_failed", "error": str(error)}))
        finally:
            writer.close()

    def _answer(self, words: list[str]) -> dict[str, object]:
        try:
            self._obey(words)
        except CoinReturned as error:
            return {"ok": False, "error": str(error)}
        except (ValueError, KeyError) as error:
            return {"ok": False, "error": f"not understood: {error}"}
        return {"ok": True, **self._status(), **self._board.appearance()}

    def _obey(self, words: list[str]) -> None:
        match words:
            case ["coin", amount] if 0 < int(amount) <= 10**8:
                self._board.insert_coin(int(amount))
            case ["jam" | "unjam" as verb, slot]:
                self._board.jam(slot, verb == "jam")
            case ["restock", slot, count] if 0 < int(count) <= MAX_COUNT:
                self._board.restock(slot, int(count))
            case ["link", "up" | "down" as direction]:
                self._board.set_link(direction == "up")
            case ["door", "open" | "close" as movement]:
                self._board.set_door(movement == "open")
            case ["button", "down" | "up" as movement]:
                self._board.button_pressed = movement == "down"
            case ["beam", "blocked" | "free" as state]:
                self._board.set_beam(state == "blocked")
            case ["defrost", "on" | "off" as state]:
                self._board.set_defrost(state == "on")
            case ["temperature", zone, degrees] if -55 <= float(degrees) <= 125:
                self._board.set_temperature(zone, round(100 * float(degrees)))
            case ["status"]:
                pass
            case _:
                raise ValueError(" ".join(words))


def _address(state: Path) -> str:
    """The shorter way to the socket: the kernel takes no more than 107 bytes of it."""
    path = str(state / SOCKET)
    return min(path, os.path.relpath(path), key=len)


def ask(state: Path | str, *words: str, deadline_s: float = DEADLINE_S) -> dict[str, object]:
    """Send one request to the simulator of this state folder. Raises OSError when it does not run."""
    with socket.socket(socket.AF_UNIX) as wire:
        wire.settimeout(deadline_s)
        wire.connect(_address(Path(state)))
        wire.sendall(" ".join(words).encode() + b"\n")
        with wire.makefile("rb") as answer:
            line = answer.readline()
    if not line:
        raise ConnectionResetError("the simulator ended before it answered")
    told: dict[str, object] = json.loads(line)
    return told


if __name__ == "__main__":
    told = ask(sys.argv[1], *sys.argv[2:])
    print(json.dumps(told))
    sys.exit(0 if told["ok"] else 1)
