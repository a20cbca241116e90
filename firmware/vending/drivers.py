"""Which driver a slot's motor needs. Pure; at boot only, and each driver is imported if a motor needs it."""

from .checks import SettingsError
from .lines import line_at
from .motors import GATE
from .wiring import DC, SERVO


def make_motor(code: str, slot, chips: list, place):
    """The motor of a slot's wiring, or the number of one that remembers nothing (motors.py).

    `place` gives that of a Line at the `chips`. Raises SettingsError without a motor, as a slot may be in a simulator.
    """
    wired = slot.motor
    if wired is None:
        raise SettingsError("slots." + code + ".motor is missing")
    if wired.kind == DC:
        return place(wired.output) if wired.row is None else place(wired.row) + GATE * place(wired.column)

    def line(wanted):
        return line_at(chips, place(wanted))

    gates = () if wired.row is None else (line(wired.column), line(wired.row))
    if wired.kind == SERVO:
        from .servo import ServoMotor

        return ServoMotor(line(wired.signal), gates, wired.run_us, wired.neutral_us, slot.soft_start_ms)
    from .stepper import StepperMotor

    phases = tuple([line(phase) for phase in wired.phases])
    return StepperMotor(phases, gates, wired.half_steps_per_s, slot.soft_start_ms)
