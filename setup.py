"""Copies space.yaml into the wheel as search/space.yaml, so that the checkout has a single copy to edit.

Everything else is in pyproject.toml. `search.spec.spec.stock_space` finds either copy.
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithSpace(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:  # an editable install reads the checkout itself
            self.copy_file("space.yaml", str(Path(self.build_lib, "search", "space.yaml")))

    def get_source_files(self) -> list[str]:
        return [*super().get_source_files(), "space.yaml"]  # so that an sdist contains it

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [*super().get_outputs(include_bytecode), str(Path(self.build_lib, "search", "space.yaml"))]


setup(cmdclass={"build_py": BuildWithSpace})
