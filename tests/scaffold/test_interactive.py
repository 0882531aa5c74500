"""The questions as a person meets them: in a terminal of 80 columns, one key at a time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
import yaml
from jinja2 import Environment, FileSystemLoader

from rendering import COMBINATIONS, ROOT

ENTER = "\r"
CONTROL_C = "\x03"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x1b\][^\x07]*\x07")
COLUMNS = 80
ORDER = [
    "What is the service called?",
    "What does it do?",
    "Which team owns it?",
    "Which language is it written in?",
    "What does its production image stand on?",
    "What builds and publishes its image?",
    "Which registry keeps its images?",
    "Which prefix do its Go modules have?",
]


class Terminal:
    """Copier in a pseudo-terminal."""

    def __init__(self, template: Path, destination: Path) -> None:
        self.child = pexpect.spawn(
            sys.executable,
            ["-m", "copier", "copy", "--vcs-ref", "HEAD", str(template), str(destination)],
            dimensions=(40, COLUMNS), encoding="utf-8", timeout=60,
            env={
                **os.environ, "TERM": "xterm", "PYTHONWARNINGS": "ignore",
                # This terminal does not say where its cursor is: each question would wait for it.
                "PROMPT_TOOLKIT_NO_CPR": "1",
            },
        )  # fmt: skip
        self.seen = ""

    def expect(self, text: str) -> str:
        self.child.expect_exact(text)
        step = ESCAPES.sub("", self.child.before + self.child.after)
        self.seen += step
        return step

    def answer(self, text: str) -> None:
        """Replace the default with a text and press Enter."""
        self.child.send("\x01\x0b" + text + ENTER)

    def finish(self) -> int:
        self.child.expect(pexpect.EOF)
        self.seen += ESCAPES.sub("", self.child.before)
        self.child.close()
        return int(self.child.exitstatus if self.child.exitstatus is not None else 128)


@pytest.fixture
def terminal(template_repository: Path, tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(template_repository, tmp_path / "service")
    yield terminal
    terminal.child.close(force=True)


def test_enter_takes_every_default(terminal: Terminal, tmp_path: Path) -> None:
    for question in ORDER:
        terminal.expect(question)
        terminal.child.send(ENTER)
    assert terminal.finish() == 0, terminal.seen
    assert "payments is ready. Next:" in terminal.seen
    assert "make test image run" in terminal.seen
    assert (tmp_path / "service/cmd/payments/main.go").exists()


def test_defaults_depend_on_earlier_answers(terminal: Terminal, tmp_path: Path) -> None:
    terminal.expect(ORDER[0])
    terminal.answer("order-book")
    terminal.expect("The order-book service")
    terminal.child.send(ENTER)
    terminal.expect(ORDER[2])
    terminal.answer("acme/checkout")
    for question in ORDER[3:6]:
        terminal.expect(question)
        terminal.child.send(ENTER)
    terminal.expect(ORDER[6])
    terminal.expect("registry.example.com/acme/checkout")
    terminal.child.send(ENTER)
    terminal.expect("example.com/acme/checkout")
    terminal.child.send(ENTER)
    assert terminal.finish() == 0, terminal.seen
    answers = yaml.safe_load((tmp_path / "service/.copier-answers.yml").read_text())
    assert answers["service_name"] == "order-book"
    assert answers["registry"] == "registry.example.com/acme/checkout"


def test_a_wrong_answer_is_corrected_in_place(terminal: Terminal, tmp_path: Path) -> None:
    terminal.expect(ORDER[0])
    terminal.answer("Not A Label")
    terminal.expect("Example: order-book")
    terminal.answer("ledger")
    for question in ORDER[1:]:
        terminal.expect(question)
        terminal.child.send(ENTER)
    assert terminal.finish() == 0, terminal.seen
    answers = yaml.safe_load((tmp_path / "service/.copier-answers.yml").read_text())
    assert answers["service_name"] == "ledger"


@pytest.mark.parametrize("questions", [1, 4])
def test_control_c_leaves_nothing(terminal: Terminal, tmp_path: Path, questions: int) -> None:
    for question in ORDER[:questions]:
        terminal.expect(question)
        if question != ORDER[questions - 1]:
            terminal.child.send(ENTER)
    terminal.child.send(CONTROL_C)
    assert terminal.finish() != 0
    assert "Traceback" not in terminal.seen
    assert not (tmp_path / "service").exists()


def test_an_existing_file_is_kept_unless_the_person_agrees(
    template_repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "service").mkdir()
    (tmp_path / "service/README.md").write_text("precious\n")
    terminal = Terminal(template_repository, tmp_path / "service")
    for question in ORDER:
        terminal.expect(question)
        terminal.child.send(ENTER)
    terminal.expect("Overwrite README.md?")
    terminal.child.send("n")
    assert terminal.finish() == 0, terminal.seen
    assert (tmp_path / "service/README.md").read_text() == "precious\n"


def test_help_fits_the_terminal() -> None:
    config = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
    for name, question in config.items():
        if name.startswith("_") or question.get("when") is False or question.get("ask") is False:
            continue
        for language in sorted({answers["language"] for answers in COMBINATIONS.values()}):
            text = Environment().from_string(question["help"]).render(language=language)
            assert len(f"🎤 {text} ") < COLUMNS, name
            for label in labels(question.get("choices", {}), language):
                assert len(label) < COLUMNS - 4, label
        for line in question.get("validator", "").splitlines():
            assert len(line) < COLUMNS or "{%" in line, f"{name}: {line}"


def labels(choices: dict[str, str] | str, language: str) -> list[str]:
    environment = Environment(
        loader=FileSystemLoader(ROOT),
        extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"],
    )
    if isinstance(choices, str):
        choices = yaml.safe_load(environment.from_string(choices).render(language=language))
    return list(choices)


def test_an_example_of_a_right_answer_fits_the_terminal() -> None:
    """A refusal is one line, cut off where the terminal ends; the example comes before that."""
    config = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
    for name, question in config.items():
        if name.startswith("_") or question.get("when") is False or question.get("ask") is False:
            continue
        for example in re.findall(r"Example: .*?[.](?= )", question.get("validator", "")):
            assert len(f"Validation error for question '{name}': {example}") <= COLUMNS, example


def test_a_wrong_registry_shows_the_whole_example(terminal: Terminal) -> None:
    for question in ORDER[:6]:
        terminal.expect(question)
        terminal.child.send(ENTER)
    terminal.expect(ORDER[6])
    terminal.answer("https://registry.example.com/acme")
    terminal.expect("Example: registry.example.com/acme.")


def test_the_picture_in_the_docs_is_current() -> None:
    picture = [sys.executable, str(ROOT / "scripts/picture.py"), "--check"]
    result = subprocess.run(picture, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
