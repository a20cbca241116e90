"""What was told of a simulated device, in words for a person. Pure."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from firmware.simulator.spans import Line, Span, Style


def facts(told: dict[str, Any]) -> dict[str, Span]:
    """Label → what is to be said, of the simulator's answer to `status`."""
    return {label: say(told) for label, say in _FACTS.items()}


def event(happened: dict[str, Any]) -> Line:
    """One event of the world (world.py), in local time."""
    at = datetime.fromtimestamp(happened["time"]).strftime("%H:%M:%S")
    words, style = _EVENTS.get(happened["kind"], (happened["kind"], Style.PLAIN))
    degrees = (happened.get("hundredths") or 0) / 100
    said = words.format(amount=happened.get("amount"), zone=happened.get("zone"), degrees=degrees)
    vend = f"  vend {_short(happened['label'])}" if happened.get("label") else ""
    return ((f" {at}  {happened.get('slot', ''):<4}", Style.QUIET), (said, style), (vend, Style.QUIET))


def _link(told: dict[str, Any]) -> Span:
    if not told["link_is_up"]:
        return f"{told['link']}, dropped by hand", Style.BAD
    return told["link"], Style.GOOD if told["link"] == "online" else Style.BUSY


def _vend(told: dict[str, Any]) -> Span:
    if told["running"]:
        return f"{_short(told['running'][0])} runs", Style.BUSY
    due = len(told["unacknowledged"])
    return (f"{due} not yet acknowledged", Style.BUSY) if due else ("none open", Style.PLAIN)


def _journal(told: dict[str, Any]) -> Span:
    epoch, seq = told["highest"]
    return f"epoch {epoch}, seq {seq}", Style.PLAIN


def _firmware(told: dict[str, Any]) -> Span:
    return told["firmware"], Style.PLAIN


def _signal(told: dict[str, Any]) -> Span:
    signal = told["signal"] or "none"
    return signal, Style.BAD if signal in ("fault", "locked", "offline") else Style.PLAIN


def _till(told: dict[str, Any]) -> Span:
    return ("open, takes money", Style.GOOD) if told["accepts_money"] else ("shut, returns money", Style.PLAIN)


def _money(told: dict[str, Any]) -> Span:
    """In minor units, as everywhere on the device."""
    due = len(told["credits"])
    text = f"{told['coins_taken_minor']} minor units"
    return (f"{text}, {due} due", Style.BUSY) if due else (text, Style.PLAIN)


def _door(told: dict[str, Any]) -> Span:
    if told["door_is_open"] is None:
        return "no switch", Style.QUIET
    return ("open", Style.BAD) if told["door_is_open"] else ("closed", Style.PLAIN)


def _beam(told: dict[str, Any]) -> Span:
    return ("blocked", Style.BAD) if told["beam_is_blocked"] else ("free", Style.PLAIN)


def _zones(told: dict[str, Any]) -> Span:
    zones = [f"{zone} {hundredths / 100:.1f} °C" for zone, hundredths in told["temperatures"].items()]
    return (", ".join(zones), Style.PLAIN) if zones else ("no sensor", Style.QUIET)


_FACTS: dict[str, Callable[[dict[str, Any]], Span]] = {
    "link": _link,
    "vend": _vend,
    "journal": _journal,
    "firmware": _firmware,
    "signal": _signal,
    "till": _till,
    "money": _money,
    "door": _door,
    "beam": _beam,
    "zones": _zones,
}
_EVENTS = {
    "motor_start": ("motor on", Style.BUSY),
    "left_home": ("coil has left home", Style.PLAIN),
    "drop": ("product fell", Style.GOOD),
    "no_drop": ("nothing fell", Style.BAD),
    "home": ("coil is home again", Style.PLAIN),
    "motor_stop": ("motor off", Style.PLAIN),
    "jam": ("jammed by hand", Style.BAD),
    "unjam": ("freed by hand", Style.GOOD),
    "restock": ("{amount} products put in", Style.GOOD),
    "coin": ("{amount} inserted and taken", Style.GOOD),
    "coin_returned": ("{amount} inserted and returned", Style.BAD),
    "door_open": ("door opened", Style.BAD),
    "door_closed": ("door closed", Style.GOOD),
    "defrost_begun": ("defrosting began", Style.PLAIN),
    "defrost_ended": ("defrosting ended", Style.PLAIN),
    "beam_blocked": ("drop beam blocked", Style.BAD),
    "beam_free": ("drop beam free", Style.GOOD),
    "link_up": ("link restored", Style.GOOD),
    "link_down": ("link dropped", Style.BAD),
    "temperature": ("{zone} set to {degrees:.1f} °C", Style.PLAIN),
}


def _short(vend_id: str) -> str:
    """Its end: the beginning is the time."""
    return "…" + vend_id[-8:]
