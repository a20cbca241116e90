"""What a settings file is checked with. Pure, and nothing but Python: the cloud may run the same checks."""

from . import SettingsError

__all__ = ("SettingsError", "is_digits", "is_int", "is_text", "merge", "require")


def require(holds: bool, reason: str) -> None:
    """Raises SettingsError with this reason unless it `holds`."""
    if not holds:
        raise SettingsError(reason)


def merge(where: str, given: object, defaults: dict, required: tuple = ()) -> dict:
    """The object `given` with `defaults` for what it leaves out; no other names. Raises SettingsError."""
    if not isinstance(given, dict):
        raise SettingsError(where + " must be an object")
    values = dict(defaults)
    values.update(given)
    for name in required:
        require(name in given, (name if where == "settings.json" else where + "." + name) + " is missing")
    for name in given:
        require(name in defaults or name in required, where + " has an unknown setting: " + str(name))
    return values


def is_text(value: object, shortest: int, longest: int, optional: bool = False) -> bool:
    if value is None:
        return optional
    return isinstance(value, str) and shortest <= len(value) <= longest


def is_int(value: object, least: int, most: int, optional: bool = False) -> bool:
    if value is None:
        return optional
    return type(value) is int and least <= value <= most


def is_digits(text: str) -> bool:
    """Whether it is a decimal number; str.isdigit of CPython takes ² for one."""
    return text != "" and all("0" <= letter <= "9" for letter in text)
