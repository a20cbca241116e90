"""Stands before every route: knows who asks, and whether they may."""

from quart import g

from cloud.auth.service import AuthService
from cloud.callers import Operator
from cloud.errors import Refused
from cloud.operations import current_operation
from cloud.permissions import Permission
from cloud.web import bearer
from shared.errors import Code


class Gate:
    """Before a request: lets by what is public, hands on what gateways do, and asks all others for a permission."""

    def __init__(self, auth: AuthService) -> None:
        self._auth = auth

    async def admit(self) -> None:
        """Raises Unauthenticated, Refused (403)."""
        found = current_operation()
        if found is not None and isinstance(found.policy, Permission):
            g.operator = await self._auth.operator(bearer())
            require(g.operator, found.policy)


def require(operator: Operator, permission: Permission) -> None:
    """Raises Refused unless they have it."""
    if permission not in operator.permissions:
        raise Refused(Code.FORBIDDEN, f"This needs the permission {permission}.", status=403)
