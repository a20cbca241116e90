"""The table of pages: who sees which, and which one is shown."""

import pytest

from cloud.dashboard.navigation import NAVIGATION, Group, Link, Navigation
from cloud.permissions import Permission, Role, permissions_of

ORDERS = Link("Orders", "/orders", "receipt", Permission.ORDERS_READ, "o")
USERS = Link("Users", "/users", "users", Permission.USERS_READ, "u")
AUDIT = Link("Audit", "/users/audit", "list", Permission.AUDIT_READ)
ALL = Navigation((Group("Sales", (ORDERS,)), Group("Business", (USERS, AUDIT))))


def test_nobody_is_led_to_what_they_may_not_see() -> None:
    assert ALL.seen_with(permissions_of(Role.OWNER)) == ALL
    assert ALL.seen_with(permissions_of(Role.FINANCE)).groups == (ALL.groups[0], Group("Business", (AUDIT,)))
    assert ALL.seen_with(permissions_of(Role.VIEWER)).groups == ALL.groups[:1]
    assert ALL.seen_with(()).groups == ()


@pytest.mark.parametrize(
    ("path", "href"),
    [
        ("/orders", "/orders"),
        ("/orders/1", "/orders"),
        ("/ordersheet", ""),
        ("/users/2", "/users"),
        ("/users/audit", "/users/audit"),
        ("/", ""),
    ],
)
def test_the_page_shown_is_the_one_the_address_lies_under(path: str, href: str) -> None:
    assert ALL.active(path) == href


def test_a_letter_leads_to_one_page() -> None:
    with pytest.raises(ValueError, match="one shortcut"):
        Navigation((Group("", (ORDERS, ORDERS)),))
    assert NAVIGATION.groups
