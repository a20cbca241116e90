"""A file is made anew, whole or not at all."""

from .flash import Flash


def exchange(flash: Flash, name: str, data: bytes) -> None:
    """Make the file `data`: a power cut leaves the old one or the new one. Raises OSError."""
    fresh = name + ".new"
    flash.replace(fresh, data)
    if flash.read(fresh) != data:
        raise OSError(name + " reads back differently")
    flash.rename(fresh, name)
