"""What devices log: logged again here with their ids, and the newest lines kept for whoever looks for a fault."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from edge.clock import new_id
from edge.errors import DatabaseError
from edge.upkeep.service import device_log
from edge.upkeep.store import KEPT_LOG_LINES
from shared.topics import Channel, Topic
from shared.upkeep import Level, LogLine, LogLines
from tests.fakes.site import Site, running_site

BOOT = new_id()
ROOT = Path(__file__).parents[3]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as site:
        yield site


def line(number: int, level: Level = Level.WARNING, fields: str = '{"port": 8883}') -> LogLine:
    return LogLine(number=number, uptime_ms=1000 * number, level=level, event="link_failed", fields=fields)


async def tell(site: Site, *lines: LogLine, device_id: UUID | None = None) -> None:
    topic = Topic(site.machine_id, device_id or site.device_id, Channel.LOG)
    await site.upkeep.record_log(topic, LogLines(boot_id=BOOT, lines=lines))


async def test_each_line_is_logged_with_its_level_and_where_it_comes_from(site: Site) -> None:
    with capture_logs() as logged:
        await tell(site, line(0), line(1, Level.ERROR))
    told = [entry for entry in logged if entry["event"] == "device_log"]
    assert [entry["log_level"] for entry in told] == ["warning", "error"]
    assert {entry["device_id"] for entry in told} == {str(site.device_id)}
    assert [entry["number"] for entry in told] == [0, 1]


async def test_the_newest_lines_of_each_device_are_kept(site: Site, tmp_path: Path) -> None:
    other = new_id()
    await tell(site, line(7), device_id=other)
    for first in range(0, KEPT_LOG_LINES + 24, 8):
        await tell(site, *[line(number) for number in range(first, first + 8)])
    kept = device_log(tmp_path, site.device_id)
    assert [told["number"] for told in kept] == list(range(24, KEPT_LOG_LINES + 24))
    assert [told["number"] for told in device_log(tmp_path, other)] == [7]
    assert len(device_log(tmp_path, None)) == KEPT_LOG_LINES + 1


async def test_fields_that_were_cut_off_are_shown_as_they_are(site: Site, tmp_path: Path) -> None:
    await tell(site, line(0), line(1, fields='{"error": "a very lon'))
    assert [told["fields"] for told in device_log(tmp_path, None)] == [{"port": 8883}, '{"error": "a very lon']


def run(state_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge", "device-log", *arguments]
    environment = {"LARDER_GATEWAY_STATE_DIR": str(state_dir), "PATH": ""}
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)


async def test_a_command_shows_them_while_the_gateway_runs(site: Site, tmp_path: Path) -> None:
    await tell(site, line(0), line(1))
    shown = run(tmp_path, str(site.device_id))
    assert [json.loads(told)["number"] for told in shown.stdout.splitlines()] == [0, 1]
    assert (shown.stderr, shown.returncode) == ("", 0)
    wrong = run(tmp_path, "left cabinet")
    assert wrong.returncode == 78
    assert "left cabinet" in wrong.stderr


def test_without_a_ledger_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="cannot be read"):
        device_log(tmp_path, None)
    assert list(tmp_path.iterdir()) == []
