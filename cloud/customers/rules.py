"""Telephone numbers in one form, and when what is known of somebody has to go. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

_SIGNS = frozenset("+-()./ \u00a0\u2010\u2011\u2013")


@dataclass(frozen=True)
class Person:
    """Somebody's number in E.164, and what else was told with it."""

    phone: str
    name: str | None
    upi_address: str | None


class WrongPhone(ValueError):
    """It is no telephone number. The text says why, and never quotes it."""


def in_one_form(typed: str, country: str) -> str:
    """The number in E.164, however it was written; one without `+` is of `country` (ISO 3166). Raises WrongPhone."""
    if not all(letter.isdecimal() or letter in _SIGNS for letter in typed):
        raise WrongPhone("must be written in digits")
    try:
        number = phonenumbers.parse(typed, country)
    except NumberParseException:
        raise WrongPhone("is no telephone number; one of abroad begins with + and its country") from None
    # Not `is_valid_number`, which knows the ranges given out so far: new ones are given out every month.
    if not phonenumbers.is_possible_number(number):
        raise WrongPhone("has too few or too many digits")
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def for_people(phone: str) -> str:
    """A number in E.164 as it is read best: `+91 98200 12345`."""
    return phonenumbers.format_number(phonenumbers.parse(phone), PhoneNumberFormat.INTERNATIONAL)


def is_country(code: str) -> bool:
    """Whether it is a country whose telephone numbers are known."""
    return code in phonenumbers.SUPPORTED_REGIONS


def outlived(now: datetime, keep_days: int) -> datetime:
    """Whose last contact was before this is to be erased."""
    return now - timedelta(days=keep_days)
