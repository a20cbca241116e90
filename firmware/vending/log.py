"""One line of JSON per event on the serial line (the simulator's stdout)."""

import json


def log(event: str, **fields: object) -> None:
    """Tell that `event` (one snake_case word) happened. Never give it a secret."""
    line: dict = {"event": event}
    line.update(fields)
    print(json.dumps(line))
