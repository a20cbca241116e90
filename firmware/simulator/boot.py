"""Which settings a simulated device boots with: those on trial, as boot.py on the ESP32 does, or else its own."""

from pathlib import Path

from firmware.simulator.failpoints import FailingFlash, Failpoints
from firmware.vending import SettingsError, settings_file, trial
from firmware.vending.settings import Settings, parse


class DeskFlash(FailingFlash):
    """Flash whose settings.json lies elsewhere: the file that the simulator was given."""

    def __init__(self, folder: Path, failpoints: Failpoints, settings: Path) -> None:
        super().__init__(str(folder), failpoints)
        self._settings = settings

    def has(self, name: str) -> bool:
        return self._settings.exists() if name == trial.RUNNING else super().has(name)

    def _path(self, name: str) -> str:
        return str(self._settings) if name == trial.RUNNING else super()._path(name)


def boot_settings(flash: FailingFlash) -> tuple[Settings, bool]:
    """The settings, and whether they are on trial. Raises SettingsError."""
    offered = trial.choose(flash) if flash.has(trial.FILE) else None
    if offered is None:
        data = flash.read(trial.RUNNING)
        return (settings_file.load(flash) if b'"signature":' in data else parse(data)), False
    try:
        return settings_file.load(flash, offered), True
    except SettingsError as error:
        trial.revert(flash, str(error))
        return boot_settings(flash)
