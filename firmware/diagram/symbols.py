"""Symbols of a circuit diagram, after IEC 60617 where it has them. Each starts at (u, v) and goes outward."""

from firmware.diagram.pen import Pen

PULL = 28.0
"""How far a pull-up or pull-down with its words reaches."""
SWITCH = 8.0
RESISTOR = 7.0
FLAG = 16.0
FUSE = 7.0


def resistor(pen: Pen, u: float, v: float, dashed: bool = False) -> None:
    pen.box(u, v - 1.1, RESISTOR, 2.2, dashed)


def pull(pen: Pen, u: float, v: float, ohms: str, to: str) -> None:
    """A resistor from the wire at `v` to a rail; drawn dashed if it is the ESP32's own, which `ohms` = "" says."""
    up = v - 3.6
    pen.dot(u, v)
    pen.wire((u, v), (u, up), (u + 2, up))
    resistor(pen, u + 2, up, dashed=not ohms)
    pen.wire((u + 9, up), (u + 10, up))
    rail(pen, u + 10, up, f"{to}, {ohms or 'inside'}")


def ground(pen: Pen, u: float, v: float) -> None:
    pen.wire((u, v), (u, v + 1.5))
    for number, half in enumerate((2.0, 1.3, 0.6)):
        pen.wire((u - half, v + 1.5 + 0.8 * number), (u + half, v + 1.5 + 0.8 * number))


def rail(pen: Pen, u: float, v: float, name: str) -> None:
    """The end of a wire at a supply."""
    pen.wire((u, v - 1.3), (u, v + 1.3))
    pen.text(u + 1.2, v, name)


def switch(pen: Pen, u: float, v: float) -> None:
    """Open at rest."""
    pen.circle(u + 0.6, v, 0.6)
    pen.circle(u + SWITCH - 0.6, v, 0.6)
    pen.wire((u + 1.1, v - 0.3), (u + SWITCH - 1, v - 2.6))


def fuse(pen: Pen, u: float, v: float) -> None:
    pen.box(u, v - 1.1, FUSE, 2.2)
    pen.wire((u, v), (u + FUSE, v))


def diode(pen: Pen, u: float, v: float) -> None:
    """Lets current pass outward; 3 mm long."""
    pen.shape((u, v - 1.4), (u + 2.6, v), (u, v + 1.4))
    pen.wire((u + 2.8, v - 1.5), (u + 2.8, v + 1.5))


def diode_down(pen: Pen, u: float, v: float) -> None:
    """Lets current pass downward; 2.4 mm long."""
    pen.shape((u - 1.2, v), (u + 1.2, v), (u, v + 2.1))
    pen.wire((u - 1.3, v + 2.3), (u + 1.3, v + 2.3))


def light(pen: Pen, u: float, v: float) -> None:
    """A light-emitting diode."""
    diode(pen, u, v)
    for shift in (0.4, 1.8):
        pen.wire((u + shift, v - 2), (u + shift + 1.3, v - 3.6))


def capacitor_down(pen: Pen, u: float, v: float) -> None:
    """From a wire to the ground below it."""
    pen.dot(u, v)
    pen.wire((u, v), (u, v + 2.2))
    pen.wire((u - 1.8, v + 2.2), (u + 1.8, v + 2.2))
    pen.wire((u - 1.8, v + 3), (u + 1.8, v + 3))
    ground(pen, u, v + 3)


def transistor(pen: Pen, u: float, v: float) -> None:
    """An N-channel MOSFET: gate at (u, v), drain ends at (u + 4, v - 4), source is grounded."""
    pen.wire((u, v - 2), (u, v + 2))
    pen.wire((u + 0.9, v - 2.5), (u + 0.9, v + 2.5))
    pen.wire((u + 0.9, v - 1.8), (u + 4, v - 1.8), (u + 4, v - 4))
    pen.wire((u + 0.9, v + 1.8), (u + 4, v + 1.8), (u + 4, v + 2.6))
    ground(pen, u + 4, v + 2.6)


def optocoupler(pen: Pen, u: float, v: float, led_first: bool) -> None:
    """14 × 10 mm, pins at v + 2 and v + 8 on both sides: anode above cathode, collector above emitter."""
    pen.box(u, v, 14, 10)
    led, base = (u + 3.5, u + 10) if led_first else (u + 10.5, u + 4)
    out = u if led_first else u + 14
    pen.wire((out, v + 2), (led, v + 2), (led, v + 4))
    diode_down(pen, led, v + 4)
    pen.wire((led, v + 6.4), (led, v + 8), (out, v + 8))
    side = 1 if led_first else -1
    far = u + 14 if led_first else u
    pen.wire((base, v + 3), (base, v + 7))
    pen.wire((base, v + 4.2), (base + 2.2 * side, v + 2), (far, v + 2))
    pen.wire((base, v + 5.8), (base + 2.2 * side, v + 8), (far, v + 8))
    for shift in (0, 1.2):
        pen.wire((led + 1.9 * side, v + 4.4 + shift), (base - 1 * side, v + 4.4 + shift))


def motor(pen: Pen, u: float, v: float, name: str, radius: float = 3.2) -> None:
    """Its centre is at (u, v)."""
    pen.circle(u, v, radius)
    pen.text(u, v, name, "middle", longest=2 * radius - 1)


def flag(pen: Pen, u: float, v: float, name: str) -> None:
    """The wire goes on at every other flag of this name; FLAG wide."""
    near, far = u + 1.2, u + FLAG - 1.2
    pen.wire((u, v), (near, v - 1.8), (far, v - 1.8), (u + FLAG, v), (far, v + 1.8), (near, v + 1.8), (u, v))
    pen.text(u + FLAG / 2, v, name, "middle", longest=FLAG - 2.6)
