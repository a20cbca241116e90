"""The pin maps that are offered to begin with: the firmware itself takes them."""

import pytest

from cloud.clock import new_id
from cloud.configuration.rules import settings_text, wrong_setting
from cloud.dashboard.pin_maps import EXAMPLES, Example, example

CODES = [f"{tray}{number}" for tray in "ABCDEFG" for number in range(1, 11)]


@pytest.mark.criterion("9.2")
@pytest.mark.parametrize("one", EXAMPLES, ids=lambda one: one.key)
def test_a_device_would_run_on_it(one: Example) -> None:
    machine, device = new_id(), new_id()
    for codes in (CODES[:1], CODES[: one.most]):
        made = example(one.key, codes)
        assert made is not None
        assert isinstance(made["slots"], dict)
        assert list(made["slots"]) == codes
        settings = {
            **made,
            "machine_id": str(machine),
            "device_id": str(device),
            "currency": "INR",
            "ca_pem": "-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n",
        }
        assert wrong_setting(settings_text(settings), machine, device) is None


def test_what_does_not_fit_is_not_offered() -> None:
    assert example("pins", CODES[:8]) is None
    assert example("pins", []) is None
    assert example("nonsense", CODES[:1]) is None
