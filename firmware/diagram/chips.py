"""Blocks of the chips that give the ESP32 more lines. Pins: TI SCLS041 (74HC595), SCLS116 (74HC165), NXP PCA9685."""

from collections.abc import Mapping

from firmware.diagram.blocks import HEAD, LEAD, ROW, Block, Terminal, pin
from firmware.diagram.pen import Pen
from firmware.diagram.symbols import FLAG, PULL, SWITCH, flag, ground, pull, switch
from firmware.vending.wiring import PWM_CHIP, SHIFT_OUT, Expander, Line

Uses = Mapping[Line, str]
"""Line → what hangs on it, in a few words."""

OUT_PITCH = 5.0
CONTROL_PITCH = 6.0
_OUT_595 = ("QA 15", "QB 1", "QC 2", "QD 3", "QE 4", "QF 5", "QG 6", "QH 7")
_IN_165 = ("A 11", "B 12", "C 13", "D 14", "E 3", "F 4", "G 5", "H 6")


def expander(name: str, wired: Expander, uses: Uses) -> list[Block]:
    """One block a chip, up to the last one that something hangs on."""
    if wired.kind == PWM_CHIP:
        return [_pwm_chip(name, wired, uses)]
    last = max((line.number // 8 for line in uses if line.on == name), default=0)
    shown = range(last + 1)
    alike = "" if last + 1 == wired.chips else ", the others alike"
    if wired.kind == SHIFT_OUT:
        return [_shift_out(name, wired, chip, uses, alike) for chip in shown]
    return [_shift_in(name, wired, chip, uses, alike) for chip in shown]


def _line(name: str, chip: int, bit: int) -> Line:
    return Line(name, 8 * chip + bit)


def _shift_out(name: str, wired: Expander, chip: int, uses: Uses, alike: str) -> Block:
    """The next chip takes its data from this one's QH'; all else goes to every chip, with one pull-up for all."""
    data = Terminal(HEAD, f"{name} {chip}>{chip + 1}" if chip else pin(wired.data), "data")
    controls = [
        ("SER 14", data),
        ("SRCLK 11", Terminal(HEAD + CONTROL_PITCH, pin(wired.clock), f"{name} clock")),
        ("RCLK 12", Terminal(HEAD + 2 * CONTROL_PITCH, pin(wired.latch), f"{name} latch")),
        ("OE 13", Terminal(HEAD + 3 * CONTROL_PITCH + 3, pin(wired.enable or 0), f"{name} enable")),
    ]
    outputs = [(_OUT_595[bit], _line(name, chip, bit)) for bit in range(8)]
    more = [("QH' 9", f"{name} {chip + 1}>{chip + 2}")] if chip + 1 < wired.chips else []
    rest = "VCC 16 and SRCLR 10 to 3V3, GND 8 to GND, 100 nF between them; a 10 kΩ pull-down at each driver's input"
    title = f"{name}: 74HC595, chip {chip + 1} of {wired.chips}{alike}"
    return _output_chip(title, controls, outputs, more, uses, rest, is_first=chip == 0)


def _pwm_chip(name: str, wired: Expander, uses: Uses) -> Block:
    straps = f"{wired.address - 0x40:06b}"
    controls = [
        ("SDA 27", Terminal(HEAD, "SDA", f"{name} SDA")),
        ("SCL 26", Terminal(HEAD + CONTROL_PITCH, "SCL", f"{name} SCL")),
        ("OE 23", Terminal(HEAD + 2 * CONTROL_PITCH + 3, pin(wired.enable or 0), f"{name} enable")),
    ]
    outputs = [(f"LED{number} {number + 6 if number < 8 else number + 7}", Line(name, number)) for number in range(16)]
    rest = f"VDD 28 to 3V3, VSS 14 and EXTCLK 25 to GND, 100 nF between them; A5 to A0 = {straps}: 1 to 3V3, 0 to GND"
    return _output_chip(f"{name}: PCA9685, address {wired.address}", controls, outputs, [], uses, rest)


def _output_chip(
    title: str,
    controls: list[tuple[str, Terminal]],
    outputs: list[tuple[str, Line]],
    more: list[tuple[str, str]],
    uses: Uses,
    rest: str,
    is_first: bool = True,
) -> Block:
    """Controls on the near side, the last of them its enable line; on the far side the outputs that are used."""
    shown = [(label, Terminal(0, line, "").name, uses[line]) for label, line in outputs if line in uses]
    shown += [(label, name, "next chip") for label, name in more]
    foot = max(controls[-1][1].at, HEAD + OUT_PITCH * (len(shown) - 1)) + 3

    def paint(pen: Pen) -> None:
        pen.box(LEAD + 30, 7.5, 26, foot - 7.5)
        for label, terminal in controls:
            pen.wire((LEAD, terminal.at), (LEAD + 30, terminal.at))
            pen.text(LEAD + 31, terminal.at, label, longest=13)
        if is_first:
            pull(pen, LEAD + 2, controls[-1][1].at, "10 kΩ", "3V3")
        for number, (label, name, use) in enumerate(shown):
            v = HEAD + OUT_PITCH * number
            pen.text(LEAD + 55, v, label, "end", longest=11)
            pen.wire((LEAD + 56, v), (LEAD + 60, v))
            flag(pen, LEAD + 60, v, name)
            pen.text(LEAD + 61 + FLAG, v, use, longest=22)
        pen.text(LEAD - FLAG, foot + 3, rest, longest=112)

    return Block(title, foot + 7, [terminal for _, terminal in controls], paint)


def _shift_in(name: str, wired: Expander, chip: int, uses: Uses, alike: str) -> Block:
    """Contacts to ground. Chip 1 feeds the ESP32, each next one the one before."""
    data = Terminal(HEAD, f"{name} {chip + 1}>{chip}" if chip else pin(wired.data), f"{name} data")
    controls = [
        ("QH 9", data),
        ("CLK 2", Terminal(HEAD + CONTROL_PITCH, pin(wired.clock), f"{name} clock")),
        ("SH/LD 1", Terminal(HEAD + 2 * CONTROL_PITCH, pin(wired.latch), f"{name} latch")),
    ]
    if chip + 1 < wired.chips:
        controls.append(("SER 10", Terminal(HEAD + 3 * CONTROL_PITCH, f"{name} {chip + 2}>{chip + 1}", "next chip")))
    inputs = [(_IN_165[bit], uses[_line(name, chip, bit)]) for bit in range(8) if _line(name, chip, bit) in uses]
    foot = max(controls[-1][1].at, HEAD + ROW * (len(inputs) - 1)) + 4
    last = "" if chip + 1 < wired.chips else " and SER 10"
    rest = f"VCC 16 to 3V3, GND 8, CLK INH 15{last} to GND, 100 nF between them; inputs not drawn to 3V3"

    def paint(pen: Pen) -> None:
        pen.box(LEAD + 6, 7.5, 22, foot - 7.5)
        for label, terminal in controls:
            pen.wire((LEAD, terminal.at), (LEAD + 6, terminal.at))
            pen.text(LEAD + 7, terminal.at, label)
        for number, (label, use) in enumerate(inputs):
            v = HEAD + ROW * number
            pen.text(LEAD + 27, v, label, "end")
            pull(pen, LEAD + 30, v, "10 kΩ", "3V3")
            pen.wire((LEAD + 28, v), (LEAD + 30 + PULL, v))
            switch(pen, LEAD + 30 + PULL, v)
            end = LEAD + 30 + PULL + SWITCH + 3
            pen.wire((end - 3, v), (end, v))
            ground(pen, end, v)
            pen.text(end + 3, v, use, longest=27)
        pen.text(LEAD - FLAG, foot + 3, rest, longest=112)

    title = f"{name}: 74HC165, chip {chip + 1} of {wired.chips}{alike}"
    return Block(title, foot + 7, [terminal for _, terminal in controls], paint)
