"""Copier's own questions and environment, without the copy: thousands of answer sets a minute.

`test_answers.py` copies a sample of the sets whole, to prove that this quick way tells the truth.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from copier._main import Worker


class Template:
    """A template directory whose questions and files are judged and rendered in process."""

    def __init__(self, root: Path, destination: Path) -> None:
        self._root = root
        self._destination = destination
        first = self._worker({})
        self._template = first.template
        self._environment = first.jinja_env
        # Copier compiles every string anew; the same few hundred come back each time.
        compile_once = lru_cache(maxsize=None)(self._environment.from_string)
        self._environment.from_string = (  # type: ignore[method-assign]
            lambda source, *args, **kwargs: (
                compile_once(source)
                if isinstance(source, str)
                else type(self._environment).from_string(self._environment, source)
            )
        )
        subdirectory = root / "template"
        self._files = sorted(
            path.relative_to(root)
            for path in subdirectory.rglob("*")
            if path.suffix == ".jinja" and path.is_file()
        )

    def _worker(self, answers: dict[str, Any]) -> Worker:
        worker = Worker(
            str(self._root), self._destination, data=answers, defaults=True, quiet=True
        )  # fmt: skip
        if hasattr(self, "_template"):
            worker.__dict__["template"] = self._template
            worker.__dict__["jinja_env"] = self._environment
        return worker

    def ask(self, answers: dict[str, Any]) -> Worker:
        """Answer the questions; raise ValueError with the question's message if one refuses."""
        worker = self._worker(answers)
        worker._ask()
        return worker

    def render(self, worker: Worker) -> dict[str, str]:
        """Path to text of every file that an answer reaches."""
        context = dict(worker._render_context())
        rendered = {}
        for path in self._files:
            # Most files are another language's, which the first part of their path tells.
            parts = []
            for part in path.relative_to("template").with_suffix("").parts:
                parts.append(self._environment.from_string(part).render(context))
                if not parts[-1]:
                    break
            else:
                rendered[str(Path(*parts))] = self._environment.get_template(
                    path.as_posix()
                ).render(context)
        return rendered
