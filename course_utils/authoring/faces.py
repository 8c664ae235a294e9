"""A contract for import-linter: a room is entered through its face alone.

A room is a folder of ``course_utils``; its face is the folder's ``__init__``. ``[tool.importlinter]`` in pyproject.toml
names this contract, and the tests run it.
"""

from __future__ import annotations

from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, output

__all__ = ["FacesContract"]


class FacesContract(Contract):
    """Modules that lie in a folder are imported by that folder's modules only; all others import the folder itself."""

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look for imports that pass a face by.

        Args:
            graph: every import of the package.
            verbose: not used; the check takes a moment.
        """
        (package,) = self.session_options["root_packages"]
        passed_by = []
        for module in sorted(graph.modules):
            folder = module.rpartition(".")[0]
            if folder in ("", package) or graph.find_children(module):
                continue  # at the top, or itself a face
            for importer in sorted(graph.find_modules_that_directly_import(module)):
                if importer != folder and not importer.startswith(f"{folder}."):
                    passed_by.append((importer, module, folder))
        return ContractCheck(kept=not passed_by, metadata={"passed by": passed_by})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print a sentence for each import that passes a face by."""
        for importer, module, folder in self._passed_by(check):
            output.print_error(f"{importer} imports {module}; it should import from {folder}.")

    @staticmethod
    def _passed_by(check: ContractCheck) -> list[Any]:
        return check.metadata["passed by"]
