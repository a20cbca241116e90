"""A device's settings as tests need them: one slot that turns fast, and nothing else on the board."""

from firmware.vending.settings import Settings, Slot
from firmware.vending.wiring import DC, NO_PARTS, Dc, Line

HOME = Line("", 33)
DC_MOTOR = Dc(DC, Line("", 32), None, None)
SLOT = Slot(
    motor=DC_MOTOR,
    home=HOME,
    empty=None,
    turn_ms=20,
    max_ms=400,
    settle_ms=30,
    home_edges=1,
    extra_turn=False,
    jam_ma=None,
    soft_start_ms=0,
    draw_ma=None,
    chute=None,
)
SETTINGS = Settings(
    machine_id="",
    device_id="",
    currency="INR",
    ca_der=b"",
    claim_code=None,
    gateway_host=None,
    gateway_port=8883,
    mdns=False,
    mdns_interface=None,
    slots={"A1": SLOT},
    board=NO_PARTS,
    climate={},
    wifi=None,
    service_pin_sha256=None,
    at_once=1,
)
