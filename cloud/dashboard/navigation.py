"""Where one can go: the one table behind the navigation, its shortcuts and the dialog that lists them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, Self

from cloud.permissions import Permission

PLATFORM: Final = "platform"
"""What those hold who look after all businesses."""
Right = Permission | Literal["platform"]


@dataclass(frozen=True)
class Link:
    """A page, for those who hold `permission`. The letter `key` after a `g` leads there; `icon`: see icons.html."""

    label: str
    href: str
    icon: str
    permission: Right
    key: str = ""


@dataclass(frozen=True)
class Group:
    """Pages that belong together."""

    label: str
    links: tuple[Link, ...]


@dataclass(frozen=True)
class Navigation:
    """All pages, in groups."""

    groups: tuple[Group, ...]

    def __post_init__(self) -> None:
        keys = [link.key for group in self.groups for link in group.links if link.key]
        if len(keys) != len(set(keys)):
            raise ValueError("two pages have one shortcut")

    def seen_with(self, permissions: Iterable[Right]) -> Self:
        """What is left for somebody with these permissions."""
        held = frozenset(permissions)
        groups = (
            Group(group.label, tuple(link for link in group.links if link.permission in held)) for group in self.groups
        )
        return type(self)(tuple(group for group in groups if group.links))

    def active(self, path: str) -> str:
        """The href that `path` lies under, "" if none: the longest wins."""
        hrefs = (link.href for group in self.groups for link in group.links)
        return max((href for href in hrefs if path == href or path.startswith(f"{href}/")), key=len, default="")


NAVIGATION = Navigation(
    (
        Group(
            "Sales",
            (
                Link("Orders", "/orders", "receipt", Permission.ORDERS_READ, key="o"),
                Link("Customers", "/customers", "user", Permission.CUSTOMERS_READ, key="c"),
            ),
        ),
        Group(
            "Fleet",
            (
                Link("Setups", "/setups", "machine", Permission.SETUPS_READ, key="m"),
                Link("Templates", "/templates", "copy", Permission.SETUPS_READ, key="t"),
            ),
        ),
        Group(
            "Business",
            (
                Link("Users and roles", "/users", "users", Permission.USERS_READ, key="u"),
                Link("API keys", "/keys", "key", Permission.KEYS_READ, key="k"),
                Link("Webhooks", "/webhooks", "send", Permission.WEBHOOKS_READ, key="w"),
                Link("Audit log", "/audit", "list", Permission.AUDIT_READ, key="a"),
            ),
        ),
        Group("Platform", (Link("All businesses", "/platform", "shield", PLATFORM, key="p"),)),
    )
)
