"""Who may do what: one table, from permission to the roles that have it. Default deny. Pure."""

from enum import StrEnum


class Role(StrEnum):
    """What a person is in a tenant. `platform_admin` is none of them: it stands outside tenants."""

    OWNER = "owner"
    ADMIN = "admin"
    OPERATOR = "operator"
    TECHNICIAN = "technician"
    FINANCE = "finance"
    VIEWER = "viewer"


class Permission(StrEnum):
    """What an operation asks for. An API key's scopes are some of these."""

    ORDERS_READ = "orders:read"
    SALES_READ = "sales:read"
    INVENTORY_READ = "inventory:read"
    INVENTORY_WRITE = "inventory:write"
    CATALOG_READ = "catalog:read"
    CATALOG_WRITE = "catalog:write"
    MACHINES_READ = "machines:read"
    MACHINES_WRITE = "machines:write"
    SITES_READ = "sites:read"
    SITES_WRITE = "sites:write"
    SETUPS_READ = "setups:read"
    SETUPS_WRITE = "setups:write"
    DEVICES_READ = "devices:read"
    DEVICES_INSTRUCT = "devices:instruct"
    DEVICES_CONFIGURE = "devices:configure"
    GATEWAYS_READ = "gateways:read"
    FIRMWARE_READ = "firmware:read"
    FIRMWARE_WRITE = "firmware:write"
    USERS_READ = "users:read"
    USERS_WRITE = "users:write"
    SECOND_FACTORS_RESET = "second_factors:reset"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    AUDIT_READ = "audit:read"
    CUSTOMERS_READ = "customers:read"
    CUSTOMERS_WRITE = "customers:write"
    CUSTOMERS_ERASE = "customers:erase"


_EVERYBODY = frozenset(Role)
_OFFICE = frozenset({Role.OWNER, Role.ADMIN})
_FLEET = _OFFICE | {Role.OPERATOR}
_HANDS = _FLEET | {Role.TECHNICIAN}

ROLES: dict[Permission, frozenset[Role]] = {
    Permission.ORDERS_READ: _EVERYBODY,
    Permission.SALES_READ: _FLEET | {Role.FINANCE, Role.VIEWER},
    Permission.INVENTORY_READ: _EVERYBODY,
    Permission.INVENTORY_WRITE: _HANDS,
    Permission.CATALOG_READ: _EVERYBODY,
    Permission.CATALOG_WRITE: _FLEET,
    Permission.MACHINES_READ: _EVERYBODY,
    Permission.MACHINES_WRITE: _FLEET,
    Permission.SITES_READ: _EVERYBODY,
    Permission.SITES_WRITE: _FLEET,
    Permission.SETUPS_READ: _HANDS | {Role.VIEWER},
    Permission.SETUPS_WRITE: _FLEET,
    Permission.DEVICES_READ: _EVERYBODY,
    Permission.DEVICES_INSTRUCT: _HANDS,
    Permission.DEVICES_CONFIGURE: _FLEET,
    Permission.GATEWAYS_READ: _EVERYBODY,
    Permission.FIRMWARE_READ: _HANDS,
    Permission.FIRMWARE_WRITE: _OFFICE,
    Permission.USERS_READ: _OFFICE,
    Permission.USERS_WRITE: _OFFICE,
    Permission.SECOND_FACTORS_RESET: _OFFICE,
    Permission.KEYS_READ: _OFFICE,
    Permission.KEYS_WRITE: _OFFICE,
    Permission.WEBHOOKS_READ: _OFFICE,
    Permission.WEBHOOKS_WRITE: _OFFICE,
    Permission.AUDIT_READ: _OFFICE | {Role.FINANCE},
    Permission.CUSTOMERS_READ: _FLEET,
    Permission.CUSTOMERS_WRITE: _FLEET,
    Permission.CUSTOMERS_ERASE: _OFFICE,
}

SECOND_FACTOR = frozenset({Permission.FIRMWARE_WRITE})
"""A person must have shown the second factor for these lately; a key may have them only from one who had."""

FOR_PEOPLE = frozenset({Permission.SECOND_FACTORS_RESET})
"""No API key has these: whoever does it shows their own password and second factor."""

OF_THE_WHOLE = frozenset(
    {
        Permission.SETUPS_READ,
        Permission.SETUPS_WRITE,
        Permission.USERS_READ,
        Permission.USERS_WRITE,
        Permission.SECOND_FACTORS_RESET,
        Permission.KEYS_READ,
        Permission.KEYS_WRITE,
        Permission.WEBHOOKS_READ,
        Permission.WEBHOOKS_WRITE,
        Permission.AUDIT_READ,
        Permission.FIRMWARE_WRITE,
        Permission.CUSTOMERS_READ,
        Permission.CUSTOMERS_WRITE,
        Permission.CUSTOMERS_ERASE,
    }
)
"""What is about a tenant as a whole: who sees only some sites or machines has none of these, whatever their role."""

SECOND_FACTOR_ROLES = frozenset({Role.OWNER})
"""These may do nothing at all without a second factor."""


def permissions_of(role: Role) -> frozenset[Permission]:
    """All that a role may do."""
    return frozenset(permission for permission, roles in ROLES.items() if role in roles)
