"""Nothing is served that does not say who may use it."""

from dataclasses import replace

import pytest
from quart import Quart

from cloud.auth.rules import may_decide_about
from cloud.callers import Actor, ActorKind, Operator, Scope
from cloud.clock import new_id
from cloud.operations import Access, Undeclared, operation, operation_of, require_declared
from cloud.permissions import ROLES, Permission, Role, permissions_of
from tests.cloud.conftest import World


@pytest.mark.criterion("1.4")
def test_a_route_that_says_not_who_may_use_it_stops_the_start() -> None:
    app = Quart("test", static_folder=None)

    @app.get("/told")
    @operation(Access.PUBLIC)
    async def told() -> str:
        return ""

    require_declared(app)

    @app.get("/forgotten")
    async def forgotten() -> str:
        return ""

    with pytest.raises(Undeclared, match="/forgotten"):
        require_declared(app)


async def test_every_route_of_the_app_is_declared(world: World) -> None:
    declared = {
        rule.rule: operation_of(world.app.view_functions[rule.endpoint]) for rule in world.app.url_map.iter_rules()
    }
    assert {rule for rule, found in declared.items() if found is None} == set()


@pytest.mark.criterion("1.2")
async def test_nobody_gets_by_without_a_credential(world: World) -> None:
    asked = 0
    for rule in world.app.url_map.iter_rules():
        found = operation_of(world.app.view_functions[rule.endpoint])
        if found is None or not isinstance(found.policy, Permission):
            continue
        path = rule.rule.replace("<uuid:", "<")
        while "<" in path:
            path = path[: path.index("<")] + world.seeded.site_id + path[path.index(">") + 1 :]
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            for headers in ({}, {"Authorization": "Bearer larder_nothing"}, {"Authorization": "Basic x"}):
                answer = await world.client.open(path, method=method, headers=headers, json={})
                is_page = not path.startswith("/v1/") and not path.endswith("/events")
                assert answer.status_code == (302 if is_page else 401), (method, path)
                asked += 1
    assert asked >= 3 * 14


@pytest.mark.criterion("1.4")
def test_the_table_of_permissions_is_whole() -> None:
    assert set(ROLES) == set(Permission)
    assert permissions_of(Role.OWNER) == frozenset(Permission)
    for role in Role:
        assert permissions_of(role) <= permissions_of(Role.OWNER)
        one = Operator(new_id(), Actor(ActorKind.USER, new_id(), "One"), permissions_of(role), role=role)
        given = {other for other in Role if may_decide_about(one, other)}
        assert all(permissions_of(other) <= permissions_of(role) for other in given)
        assert (Role.OWNER in given) is (role is Role.OWNER)
        assert role in given
        part = replace(one, scope=Scope(machines=frozenset({new_id()})))
        assert not any(may_decide_about(part, other) for other in Role)
