"""Roles and permissions in words. Pure."""

from cloud.permissions import Permission, Role

ROLES: dict[Role, tuple[str, str]] = {
    Role.OWNER: ("Owner", "May do everything, and decides about other owners. Needs a second factor."),
    Role.ADMIN: ("Admin", "May do everything but decide about owners: users, API keys, releases, the audit log."),
    Role.OPERATOR: ("Operator", "Runs the machines: sees all sales and stock, sets devices up, and helps customers."),
    Role.TECHNICIAN: ("Technician", "Looks after machines: sees sales, stock and setups, and instructs devices."),
    Role.FINANCE: ("Finance", "Sees sales, stock and the audit log. Changes nothing."),
    Role.VIEWER: ("Viewer", "Sees sales, stock, machines and setups. Changes nothing."),
}

PERMISSIONS: tuple[tuple[str, tuple[tuple[Permission, str], ...]], ...] = (
    (
        "Sales and stock",
        (
            (Permission.ORDERS_READ, "Read orders, and what became of them"),
            (Permission.SALES_READ, "Read sums of sales, for charts"),
            (Permission.INVENTORY_READ, "Read what is in the slots"),
            (Permission.INVENTORY_WRITE, "Fill, count and correct stock"),
            (Permission.CATALOG_READ, "Read products and prices"),
            (Permission.CATALOG_WRITE, "Change products, prices and planograms"),
        ),
    ),
    (
        "Machines",
        (
            (Permission.SITES_READ, "Read sites"),
            (Permission.SITES_WRITE, "Change sites: name, address, place"),
            (Permission.MACHINES_READ, "Read machines"),
            (Permission.MACHINES_WRITE, "Rename machines, take them out of service"),
            (Permission.SETUPS_READ, "Read how new machines go into service"),
            (Permission.SETUPS_WRITE, "Put new machines into service, and make templates of them"),
            (Permission.GATEWAYS_READ, "Read gateways, and how far they were heard"),
            (Permission.DEVICES_READ, "Read devices and their health"),
            (Permission.DEVICES_INSTRUCT, "Instruct devices, such as to turn a coil"),
            (Permission.DEVICES_CONFIGURE, "Change the settings of devices"),
            (Permission.FIRMWARE_READ, "Read releases and rollouts"),
            (Permission.FIRMWARE_WRITE, "Publish releases and roll them out"),
        ),
    ),
    (
        "Business",
        (
            (Permission.USERS_READ, "Read who belongs to the business"),
            (Permission.USERS_WRITE, "Invite, change and remove users"),
            (Permission.SECOND_FACTORS_RESET, "Reset the second factor of users"),
            (Permission.KEYS_READ, "Read which API keys there are"),
            (Permission.KEYS_WRITE, "Make and revoke API keys"),
            (Permission.WEBHOOKS_READ, "Read webhooks, and what was sent to them"),
            (Permission.WEBHOOKS_WRITE, "Make and change webhooks, send again"),
            (Permission.AUDIT_READ, "Read the audit log"),
        ),
    ),
    (
        "Customers",
        (
            (Permission.CUSTOMERS_READ, "Search customers by number, and read what is known of them"),
            (Permission.CUSTOMERS_WRITE, "Add and change customers, and note what happened to them"),
            (Permission.CUSTOMERS_ERASE, "Erase customers, and set how long they are kept"),
        ),
    ),
)
"""In groups, as people choose among them."""


def role_name(role: Role) -> str:
    """As people call it."""
    return ROLES[role][0]
