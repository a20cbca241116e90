"""An import-linter contract: some modules of a feature are for that feature alone."""

from typing import ClassVar, cast

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output
from importlinter.domain.helpers import module_expressions_to_modules
from importlinter.domain.imports import ModuleExpression


class PrivateModulesContract(Contract):
    """`edge.orders.store` may be imported from inside `edge.orders` and from nowhere else.

    import-linter's own `protected` contract would need one entry a feature; this one holds for every
    feature that matches, so that adding one does not mean adding a contract.

    Options: `modules`, a list of module expressions such as `edge.*.store`.
    """

    type_name: ClassVar[str] = "private_modules"
    modules = fields.ListField(subfield=fields.ModuleExpressionField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        # The class holds the field, an instance its parsed value.
        expressions = cast(list[ModuleExpression], self.modules)
        intruders = [
            f"{importer} imports {private.name}"
            for private in sorted(module_expressions_to_modules(graph, expressions), key=lambda module: module.name)
            for importer in sorted(graph.find_modules_that_directly_import(private.name))
            if not importer.startswith(private.name.rpartition(".")[0] + ".")
        ]
        return ContractCheck(kept=not intruders, metadata={"intruders": intruders})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for line in check.metadata["intruders"]:
            output.print_error(line)
