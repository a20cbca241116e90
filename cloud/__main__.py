"""The cloud's program: `larder-cloud COMMAND` or `python -m cloud COMMAND`; `--help` lists what it can do."""

import argparse
import os
import sys

import asyncpg
import uvloop

from cloud import logs, sources
from cloud.commands import check_config, client, databases, erasures, gateways, lowdb, people, serving, tenants, vault
from cloud.errors import NotFound, PostgresFailed, Refused, SchemaError, SettingsError, Unavailable, Unproven

CONFIGURATION_STATUS = 78
"""EX_CONFIG of sysexits.h."""

_TOPICS = (databases, serving, check_config, people, tenants, gateways, vault, erasures, lowdb, client)
_COMMANDS = {command.name: command for topic in _TOPICS for command in topic.COMMANDS}


def main() -> int:
    """Runs the command. A start that cannot work ends with one line on stderr and status 78."""
    arguments = _parser().parse_args()
    try:
        configured = sources.load(os.environ).settings
        logs.configure(configured.log_level)
        uvloop.run(_COMMANDS[arguments.command].run(configured, arguments))
    except (SettingsError, PostgresFailed, SchemaError) as error:
        sys.stderr.write(f"larder cloud: {error}\n")
        return CONFIGURATION_STATUS
    except (NotFound, Refused, Unproven, Unavailable, asyncpg.PostgresError, OSError) as error:
        sys.stderr.write(f"larder cloud: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="larder-cloud", description=__doc__)
    parsers = parser.add_subparsers(dest="command", required=True)
    for command in _COMMANDS.values():
        command.add_arguments(parsers.add_parser(command.name, help=command.help))
    return parser


if __name__ == "__main__":
    sys.exit(main())
