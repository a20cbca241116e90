"""The committed JSON Schemas are those of shared/."""

from tests.contract import export


def test_the_wire_is_the_committed_one() -> None:
    committed = {path.name: path.read_text() for path in export.FOLDER.glob("*.json")}
    changed = {name for name, text in export.schemas().items() if committed.get(name) != text}
    gone = set(committed) - set(export.schemas())
    assert not changed | gone, "the wire has changed; if that is meant: python -m tests.contract.export"


def test_every_message_fact_and_change_has_its_schema() -> None:
    names = {path.name for path in export.FOLDER.glob("*.json")}
    assert {"devices.Dispense.json", "orders.OrderPlaced.json", "sync.Fact.json", "errors.Problem.json"} <= names
    assert len(names) > 50
