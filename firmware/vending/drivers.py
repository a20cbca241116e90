"""Which driver a slot's motor needs. Pure; at boot only, and each driver is imported if a motor needs it."""

from .checks import SettingsError
from .wiring import DC, SERVO


def make_motor(code: str, slot, lines):
    """The motor of a slot's wiring; `lines` turns a Line into what can be written.

    Raises SettingsError without a motor, as a slot may be in a simulator.
    """
    wired = slot.motor
    if wired is None:
        raise SettingsError("slots." + code + ".motor is missing")
    gates = () if wired.row is None else (lines(wired.column), lines(wired.row))
    if wired.kind == DC:
        from .motors import DcMotor

        if gates:
            return DcMotor(gates[1], gates[:1], slot.soft_start_ms)
        return DcMotor(lines(wired.output), (), slot.soft_start_ms)
    if wired.kind == SERVO:
        from .servo import ServoMotor

        return ServoMotor(lines(wired.signal), gates, wired.run_us, wired.neutral_us, slot.soft_start_ms)
    from .stepper import StepperMotor

    phases = tuple([lines(phase) for phase in wired.phases])
    return StepperMotor(phases, gates, wired.half_steps_per_s, slot.soft_start_ms)
