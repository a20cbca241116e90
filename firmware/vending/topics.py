"""The topics of this device: larder/v1/{machine}/{device}/{channel}. The contract is shared/topics.py."""

ROOT = "larder/v1"

COMMAND = "cmd"
CLAIM = "claim"
HELLO = "hello"
HEARTBEAT = "heartbeat"
STATE = "state"
OUTCOME = "outcome"
DROP = "drop"
CREDIT = "credit"
STOCK = "stock"
SENSOR = "sensor"
LOG = "log"
OTA = "ota"
ASK = "ask"
ANSWER = "answer"
SETTINGS = "settings"
OFFLINE = "offline"


def topic(machine_id: str, device_id: str, channel: str) -> str:
    """Where a message of `channel` goes; the ids are lower-case UUID text."""
    return "/".join((ROOT, machine_id, device_id, channel))
