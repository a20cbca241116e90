"""How a connection to an MQTT 3.1.1 broker begins: login and subscription (OASIS standard mqtt-v3.1.1, 3.1 to 3.9).

In RAM only meanwhile (link.py). `ask` sends a packet and gives the body of the answer that has this key.
"""

from . import const
from .mqtt import ACKNOWLEDGE_S, MqttError, Refused
from .packets import CONNACK, SUBACK, packet, text

_KEEP_ALIVE_S = const(10)
CONNACK_S = 10


async def log_in(ask, client_id: str, password: str) -> None:
    """CONNECT with a clean session; the user name is the client id. Raises Refused, MqttError."""
    head = b"\x00\x04MQTT\x04\xc2" + _KEEP_ALIVE_S.to_bytes(2, "big")
    login = packet(0x10, head + text(client_id) + text(client_id) + text(password))
    answer = await ask(login, CONNACK, CONNACK_S)
    if len(answer) != 2:
        raise MqttError("bad CONNACK")
    code = answer[1]
    if code in (4, 5):
        raise Refused("identity refused")
    if code:
        raise MqttError("connection refused with code " + str(code))


async def subscribe(ask, packet_id: int, topic: str) -> None:
    """SUBSCRIBE to one topic at QoS 0. Raises MqttError when that is not granted."""
    wish = packet(0x82, packet_id.to_bytes(2, "big") + text(topic) + b"\x00")
    granted = await ask(wish, (SUBACK, packet_id), ACKNOWLEDGE_S)
    if len(granted) != 3 or granted[2] != 0:
        raise MqttError("subscription refused")
