"""Which repository is meant, and the list for one that is not under the template yet."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conformance_service import DOCKERFILE, service, write
from conformance_tool import Answer, run, run_process

OLD = """\
FROM golang:1.26 AS build
COPY . .
RUN go build -o /x .
FROM alpine:latest
COPY --from=build /x /x
CMD /x
"""
DIND = "build:\n  image: docker:28\n  services: [docker:dind]\n  script: [docker build .]\n"


def foreign(root: Path, dockerfile: str = OLD, path: str = "Dockerfile") -> Path:
    """A repository that nobody has made with the template."""
    root.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    write(root, path, dockerfile)
    write(root, ".gitlab-ci.yml", DIND)
    return root


def states(answer: Answer) -> dict[str, str]:
    found = re.findall(r"^  (met|missing|unknown) +(\S+)", answer.out, re.MULTILINE)
    return {name: state for state, name in found}


# Which repository


def test_the_tool_of_one_service_checks_the_repository_that_one_stands_in(tmp_path: Path) -> None:
    tool = service(tmp_path / "payments") / "ci/conformance"
    here = foreign(tmp_path / "orders")
    (here / "cmd/x").mkdir(parents=True)
    for place in (here, here / "cmd/x"):
        answer = run_process("repo", cwd=place, tool=tool)
        assert answer.code == 1
        assert answer.lines[0].startswith("orders is not under the template")
        assert "payments" not in answer.out


def test_the_nearest_answers_say_which_folder_is_meant(tmp_path: Path) -> None:
    root = service(tmp_path / "payments")
    write(root, ".copier-answers.yml", "language: go\n")
    answer = run_process("repo", cwd=root / "image")
    assert answer.lines[-1].startswith("payments: "), answer.out
    inner = service(root / "inner")
    shutil.rmtree(inner / ".git")
    write(inner, ".copier-answers.yml", "language: go\n")
    assert run_process("repo", cwd=inner / "image").lines[-1].startswith("inner: ")


def test_without_git_the_current_folder_is_meant(tmp_path: Path) -> None:
    answer = run_process("repo", cwd=tmp_path)
    assert answer.lines[0].startswith(f"{tmp_path.name} is not under the template")


# The list


def test_what_is_met_and_what_is_missing_in_order(tmp_path: Path) -> None:
    answer = run("repo", foreign(tmp_path / "orders"))
    assert answer.code == 1
    found = states(answer)
    assert {name for name, state in found.items() if state == "met"} == {
        *("DKF-001", "DKF-013", "DKF-017", "DKF-006", "DKF-011", "DKF-007"),
        *("PIP-001", "PIP-003", "PIP-004", "PIP-005", "PIP-008"),
    }
    assert [name for name, state in found.items() if state == "missing"] == [
        *("DKF-008", "DKF-010", "DKF-005", "DKF-004", "DKF-014", "DKF-015"),
        *("DKF-002", "DKF-003", "DKF-009", "DKF-012", "DKF-016"),
        *("PIP-010", "PIP-002", "records", "the"),
    ]
    assert "note: Dockerfile is read with the last stage, in line 4 as the release" in answer.out
    assert answer.lines[-1] == "orders: 11 of 28 are met"


def test_the_list_names_no_verb_that_is_not_there(tmp_path: Path) -> None:
    out = run("repo", foreign(tmp_path / "orders")).out
    assert not re.search(r"\bmake \w+", out), out


def test_a_good_dockerfile_has_its_steps_done(tmp_path: Path) -> None:
    root = foreign(tmp_path / "orders", DOCKERFILE, "image/Dockerfile")
    (root / "Dockerfile").symlink_to("image/Dockerfile")
    found = states(run("repo", root))
    assert {state for name, state in found.items() if name.startswith("DKF")} == {"met"}


def test_a_last_stage_without_a_start(tmp_path: Path) -> None:
    out = run("repo", foreign(tmp_path / "orders", "FROM scratch\nCOPY a /a\n")).out
    assert "the last stage has neither ENTRYPOINT nor CMD" in out


@pytest.mark.parametrize("text", ["", "FROM\n", "FROM x\nRUN <<E\n", "\0"])
def test_a_dockerfile_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    answer = run("repo", foreign(tmp_path / "orders", text))
    assert (answer.code, states(answer)["DKF-001"]) == (1, "missing")


def test_a_repository_without_a_dockerfile_or_a_pipeline(tmp_path: Path) -> None:
    answer = run("repo", tmp_path)
    assert answer.code == 1
    assert "write image/Dockerfile" in answer.out
    assert "ci/gitlab" not in answer.out


def test_the_list_for_tools(tmp_path: Path) -> None:
    root = foreign(tmp_path / "orders")
    report = run("repo", root, "--format", "json").report
    assert (report["subject"], report["complete"]) == ("orders", False)
    assert report["steps"][0]["met"] is True
    assert any(item["check"] == "DKF-010" for step in report["steps"] for item in step["missing"])
    assert run("repo", root, "--format", "gitlab").report


# Below the root of a repository


def test_a_service_below_the_root_is_told_what_gitlab_reads(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    root = service(tmp_path / "services/payments")
    shutil.rmtree(root / ".git")
    out = " ".join(run("repo", root).out.split())
    assert (
        "note: services/payments lies below the repository's root: GitLab reads the root's" in out
    )
    assert "names another file" in out
    assert "jobs run there" in out
    assert "note:" not in run("repo", service(tmp_path / "own")).out
    source = service(tmp_path / ".pipeline/source")
    shutil.rmtree(source / ".git")
    assert "note:" not in run("repo", source).out
