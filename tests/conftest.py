"""What all tests share: no network beyond loopback, and a closing account of the acceptance criteria."""

import ipaddress
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

CRITERIA = Path(__file__).with_name("criteria.txt").read_text().split()


def pytest_configure(config: pytest.Config) -> None:
    sys.addaudithook(refuse_network)


def refuse_network(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook: the test process itself may connect to loopback only."""
    if event != "socket.connect" or not isinstance(address := arguments[1], tuple):
        return
    host = address[0]
    if isinstance(host, str) and host != "localhost" and not ipaddress.ip_address(host).is_loopback:
        raise PermissionError(f"a test tried to reach {host}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Notes each test's criteria on its report, which also crosses from an xdist worker to the main process."""
    for item in items:
        for criterion in (str(argument) for marker in item.iter_markers("criterion") for argument in marker.args):
            if criterion not in CRITERIA:
                raise pytest.UsageError(f"{item.nodeid}: there is no criterion {criterion!r}")
            item.user_properties.append(("criterion", criterion))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.args_source is not pytest.Config.ArgsSource.TESTPATHS or config.option.keyword:
        return
    outcomes = terminalreporter.stats
    shown = criteria_of(outcomes.get("passed", [])) - criteria_of(outcomes.get("failed", []))
    missing = [criterion for criterion in CRITERIA if criterion not in shown]
    terminalreporter.write_line(f"criteria shown: {len(shown)} of {len(CRITERIA)}; by no test: {' '.join(missing)}")


def criteria_of(reports: Iterable[pytest.TestReport]) -> set[str]:
    return {str(value) for report in reports for name, value in report.user_properties if name == "criterion"}
