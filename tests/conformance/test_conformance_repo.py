"""Repositories as they drift: deviations, reports, and twenty edits of real teams."""

from __future__ import annotations

import importlib.util
import json
import os
import py_compile
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conformance.registry import CHECKS, GROUPS
from conformance_images import BUSYBOX, docker_archive, file, release, twin
from conformance_service import (
    DOCKERFILE,
    GITLAB_CI,
    KANIKO,
    deviation,
    edit,
    lock,
    record,
    service,
    write,
)
from conformance_tool import TEMPLATE, TOOL, repository_checks, run, run_process

from rendering import commit_all, git

TODAY = "2026-06-01"
ADR3 = "ADR-003-minimal-multi-stage-runtime-images.md"
SHELL_BASE = "docker.io/library/alpine:3.22"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return service(tmp_path / "payments")


def ids(root: Path, *arguments: str) -> set[str]:
    return run("repo", root, "--today", TODAY, "--format", "json", *arguments).ids


# Deviations


def test_a_deviation_silences_exactly_what_it_names(root: Path) -> None:
    edit(root, "image/Dockerfile", "gcr.io/distroless/static-debian13:nonroot", SHELL_BASE)
    edit(root, "image/Dockerfile", "EXPOSE 8080", "RUN true")
    assert ids(root) == {"DKF-010", "DKF-011"}
    deviation(root, deviates_from="ADR-003: DKF-010, IMG-001")
    assert ids(root) == {"DKF-011"}
    answer = run("repo", root, "--today", TODAY)
    assert answer.code == 1
    found, fix, deviated, summary, hint = answer.lines
    assert found.startswith("DKF-011  image/Dockerfile:")
    assert fix == f"         fix: {CHECKS['DKF-011'].fix}"
    assert deviated.startswith("DKF-010  image/Dockerfile:")
    assert deviated.endswith(" (deviated by SVC-0001)")
    assert summary == f"payments: {repository_checks()} checks, 1 finding, 1 deviated"
    assert hint == "why, and how to deviate: python3 ci/conformance explain ID"


def test_a_run_with_only_deviated_findings_passes(root: Path) -> None:
    edit(root, "image/Dockerfile", "EXPOSE 8080", "RUN true")
    deviation(root, deviates_from="ADR-003: DKF-011")
    answer = run("repo", root, "--today", TODAY)
    assert answer.code == 0
    assert "deviated by SVC-0001" in answer.out


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        ("2026-12-30", set()),
        ("2026-12-31", {"DKF-011", "DEV-003"}),
        ("2027-01-01", {"DKF-011", "DEV-003"}),
    ],
)
def test_a_deviation_ends_on_the_day_it_expires(root: Path, today: str, expected: set[str]) -> None:
    edit(root, "image/Dockerfile", "EXPOSE 8080", "RUN true")
    deviation(root, deviates_from="ADR-003: DKF-011", expires="2026-12-31")
    assert run("repo", root, "--today", today, "--format", "json").ids == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"approver": ""}, {"DKF-011", "DEV-001"}),
        ({"expires": "soon"}, {"DKF-011", "DEV-001"}),
        ({"deviates_from": "ADR-003: DKF-011, DKF-999"}, {"DEV-002"}),
        ({"deviates_from": "ADR-006: DKF-011"}, {"DKF-011", "DEV-002"}),
        ({"status": "Proposed"}, {"DKF-011"}),
        ({"status": "Deprecated"}, {"DKF-011"}),
        ({"status": "Deprecated", "expires": "2020-01-01"}, {"DKF-011"}),
        (
            {
                "deviates_from": f"[ADR-003](../{ADR3}): `DKF-011`",
            },
            set(),
        ),
    ],
)
def test_what_counts_as_a_deviation(
    root: Path, changes: dict[str, str], expected: set[str]
) -> None:
    edit(root, "image/Dockerfile", "EXPOSE 8080", "RUN true")
    deviation(root, **{"deviates_from": "ADR-003: DKF-011", **changes})
    assert ids(root) == expected


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"approver": "security"}, ""),
        ({"approver": "@ada"}, ""),
        ({"approver": "Bob"}, "Approver is Bob; who may approve: security, ada"),
        ({"expires": "2026-09-17"}, "Expires is 181 days after Date; at most 180 are allowed"),
    ],
)
def test_what_the_house_wants_of_a_deviation(
    root: Path, changes: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tool reads what lies beside it.
    monkeypatch.setattr("conformance.house._FILE", str(root / "ci/house/house.toml"))
    edit(root, "image/Dockerfile", "EXPOSE 8080", "RUN true")
    edit(root, "ci/house/house.toml", 'approvers = ""', 'approvers = "security, ada"')
    edit(root, "ci/house/house.toml", 'deviation_days = "0"', 'deviation_days = "180"')
    lock(root)
    allowed = {"approver": "security", "expires": "2026-09-16"}
    deviation(root, deviates_from="ADR-003: DKF-011", **(allowed | changes))
    assert ids(root) == ({"DEV-001", "DKF-011"} if said else set())
    assert said in run("repo", root, "--today", TODAY).out


def test_a_deviation_cannot_silence_the_checks_on_deviations(root: Path) -> None:
    deviation(root, 1, deviates_from="ADR-001: DEV-001, DEV-003")
    deviation(root, 2, expires="2020-01-01")
    assert ids(root) == {"DEV-002", "DEV-003"}


def test_a_deviation_holds_for_images_too(root: Path, tmp_path: Path) -> None:
    path = docker_archive(tmp_path / "i.tar", release().add(file("app/x", BUSYBOX, 0o755)))
    arguments = ("image", path, "--repo", root, "--today", TODAY)
    assert run(*arguments).code == 1
    deviation(root)
    answer = run(*arguments)
    assert answer.code == 0
    assert "IMG-001  /app/x: " in answer.out
    assert "deviated by SVC-0001" in answer.out
    assert run("image", path, "--repo", root, "--today", "2027-01-01").code == 1


def test_the_day_must_be_a_date(root: Path) -> None:
    answer = run("repo", root, "--today", "tomorrow")
    assert answer.code == 2
    assert 'got "tomorrow", want a date such as 2026-03-20' in answer.err


# Records


def test_a_chain_of_records_that_agrees(root: Path) -> None:
    record(root, 1, status="Superseded", superseded_by="[SVC-0002](SVC-0002-a-decision.md)")
    record(root, 2, status="Superseded", supersedes="SVC-0001", superseded_by="SVC-0003")
    record(root, 3, supersedes="SVC-0002")
    assert ids(root) == set()


def test_a_record_that_is_superseded_in_part_holds(root: Path) -> None:
    record(root, 1, superseded_by="SVC-0002, in part")
    record(root, 2, supersedes="SVC-0001, in part")
    assert ids(root) == set()


def test_without_the_platforms_offer_no_base_is_accepted(root: Path) -> None:
    (root / "ci/house/house.toml").unlink()
    answer = run_process("repo", root, tool=root / "ci/conformance")
    assert "DKF-010  image/Dockerfile" in answer.out
    assert "PLT-003  ci/house/house.toml: the platform file is missing" in answer.out


def test_links_in_code_and_comments_are_no_links(root: Path) -> None:
    text = (
        "\n\n```sh\n[x](none.md)\n```\n\n<!-- [y](none.md) -->\n\n`[z](none.md)`\n\n"
        "[a](https://example.com/none.md) [b](#context-and-problem-statement) [c](</README.md>)\n"
        "[d](../../../README.md#payments) [e](mailto:x@example.com)\n"
        "![f](../../../README.md 'title')\n"
    )
    edit(root, record(root, 1), "Something.", "Something." + text)
    assert ids(root) == set()


def test_the_template_of_a_record_is_no_record(root: Path) -> None:
    assert (root / "specs/ADRs/service/SVC-0000-template.md").is_file()
    assert ids(root) == set()


# Updates


def test_markers_in_the_middle_of_a_line_are_no_conflict(root: Path) -> None:
    write(
        root,
        "x.md",
        "Look for `<<<<<<< before updating` and\n`>>>>>>> after updating`.\n\n=======\n",
    )
    write(root, "node_modules/x/y.rej", "")
    write(root, "node_modules/x/y.md", "<<<<<<< a\n=======\n>>>>>>> b\n")
    assert ids(root) == set()


def test_a_tree_that_is_no_repository(root: Path) -> None:
    shutil.rmtree(root / ".git")
    assert run("repo", root, "--strict").code == 0


def test_git_that_cannot_answer(root: Path) -> None:
    shutil.rmtree(root / ".git")
    write(root, ".git", "gitdir: /nowhere\n")
    answer = run("repo", root)
    assert answer.code == 0
    assert answer.lines[0].startswith("not run: PLT-005, UPD-002 (git cannot read the repository")
    assert run("repo", root, "--strict").code == 1


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("README.md", set()),
        ("docs/pipe", set()),
        (".copier-answers.yml", set()),
        ("ci/gitlab/more.sh", {"PLT-004"}),
        ("ci/pipeline/more.sh", {"PLT-004"}),
        ("ci/platform.lock", {"PLT-001"}),
        ("ci/gitlab/image.yml", {"PIP-001", "PLT-003"}),
        ("specs/guidelines/containerization.md", {"PLT-003"}),
        ("image/Dockerfile", {"DKF-001"}),
    ],
)
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(
    root: Path, path: str, expected: set[str]
) -> None:
    (root / path).parent.mkdir(exist_ok=True)
    (root / path).unlink(missing_ok=True)
    os.mkfifo(root / path)
    command = [sys.executable, str(TOOL), "repo", str(root), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == bool(done.stdout.count('"check"')), done
    assert expected <= {item["check"] for item in json.loads(done.stdout)["findings"]}


# The pipeline: what the team's own files bring

TEAM_JOBS = """\
variables:
  DOCKER_HOST: tcp://docker:2375
  DB_PASSWORD: hunter2hunter2
integration:
  image: docker:latest
  services: [docker:dind]
  script:
    - pip install tox
"""
TEAM_FAULTS = {"PIP-002", "PIP-003", "PIP-005", "PIP-008"}
PLATFORM_INCLUDE = "include:\n  - local: /ci/gitlab/image.yml\n"


@pytest.mark.parametrize(
    ("include", "path"),
    [
        ("include: /ci/team.yml", "ci/team.yml"),
        ("include: ci/team.yml", "ci/team.yml"),
        ("include: {local: /ci/team.yml}", "ci/team.yml"),
        ("include:\n  - ci/./team.yml", "ci/team.yml"),
        ("include:\n  - local: ci/team.yml\n    rules:\n      - if: $X", "ci/team.yml"),
        ("include:\n  - local: /ci/jobs/*.yml", "ci/jobs/team.yml"),
        ("include: ci/**.yml", "ci/team.yml"),
        ("include: ci/**.yml", "ci/jobs/deep/team.yml"),
        ("include: /ci/**/*.yml", "ci/jobs/deep/team.yml"),
        ("include: '*.yml'", "team.yml"),
        ("child:\n  trigger:\n    include: ci/team.yml", "ci/team.yml"),
        ("child:\n  trigger:\n    include:\n      - local: /ci/team.yml", "ci/team.yml"),
    ],
)
def test_an_included_file_is_checked(root: Path, include: str, path: str) -> None:
    write(root, ".gitlab-ci.yml", GITLAB_CI.replace(PLATFORM_INCLUDE, f"{include}\n"))
    write(root, path, TEAM_JOBS)
    report = run("repo", root, "--format", "json").report["findings"]
    # The include takes the place of that of the platform's jobs.
    report = [item for item in report if "does not include" not in item["message"]]
    assert {item["path"] for item in report} == {path}
    assert {item["check"] for item in report} == TEAM_FAULTS
    assert len(report) == 6


def test_an_included_file_may_include_others_and_itself(root: Path) -> None:
    edit(root, ".gitlab-ci.yml", "include:\n", "include:\n  - ci/one.yml\n")
    write(root, "ci/one.yml", "include: [ci/two.yml, /ci/one.yml, .gitlab-ci.yml]\n")
    write(root, "ci/two.yml", f"include: ci/one.yml\n{TEAM_JOBS}")
    assert ids(root) == TEAM_FAULTS
    write(root, "ci/two.yml", "include: ci/none.yml\n")
    (finding,) = run("repo", root, "--format", "json").report["findings"]
    assert (finding["check"], finding["path"], finding["line"]) == ("PIP-001", "ci/two.yml", 1)
    assert finding["message"] == "it includes ci/none.yml, which is missing"


@pytest.mark.parametrize(
    "include",
    [
        "include:\n  - local: ci/jobs/*.yml",
        "include: ci/*.yml",
        "include: '*.yml'",
        "include:\n  - local: ../outside.yml",
        "include: ci/link.yml",
        "include:\n  - local: ci/$NAME.yml",
        "include:\n  - project: platform/ci\n    file: /ci/jobs/deep/team.yml",
        "include: https://example.com/ci/jobs/deep/team.yml",
        "include: [1, {local: 7}, [x]]",
        "job: {trigger: group/project, script: }",
    ],
)
def test_what_is_not_included_is_not_read(root: Path, include: str) -> None:
    write(root, ".gitlab-ci.yml", GITLAB_CI.replace(PLATFORM_INCLUDE, f"{include}\n"))
    write(root, "ci/jobs/deep/team.yml", TEAM_JOBS)
    write(root.parent, "outside.yml", TEAM_JOBS)
    (root / "ci/link.yml").symlink_to("../../outside.yml")
    assert ids(root) - {"PIP-009"} == set()


def test_a_mapping_that_includes_what_is_missing(root: Path) -> None:
    edit(root, ".gitlab-ci.yml", PLATFORM_INCLUDE, "include:\n  local: /ci/gitlab/typo.yml\n")
    answer = run("repo", root)
    (found,) = answer.found
    assert found == ("PIP-001  .gitlab-ci.yml:2: it includes /ci/gitlab/typo.yml, which is missing")


def with_the_platforms_jobs(root: Path) -> None:
    for name in ("gitlab", "pipeline"):
        shutil.rmtree(root / "ci" / name)
        shutil.copytree(TEMPLATE / f"{{{{ {name} }}}}" / "ci" / name, root / "ci" / name)
    edit(root, ".gitlab-ci.yml", "image.yml", "pipeline.yml")
    edit(root, ".gitlab-ci.yml", "\nlint:", "\nstyle:")
    lock(root)


@pytest.mark.parametrize(
    ("job", "keys"),
    [
        (
            "verify: {script: ['true'], allow_failure: true, rules: [{when: never}]}",
            "allow_failure, rules, script",
        ),
        ("verify-image: {allow_failure: true}", "allow_failure"),
        ("verify-debug:\n  when: manual", "when"),
        ("test:\n  only: [tags]\n  except: [main]", "except, only"),
        ("publish:\n  needs: [build]", "needs"),
        ("build:\n  extends: .mine", "extends"),
        (".in-ci-image: {rules: [{when: never}], needs: []}", "needs, rules"),
        (".platform:\n  allow_failure: true", "allow_failure"),
    ],
)
@pytest.mark.parametrize("place", [".gitlab-ci.yml", "ci/team.yml"])
def test_a_platform_job_whose_work_is_replaced(root: Path, place: str, job: str, keys: str) -> None:
    with_the_platforms_jobs(root)
    assert ids(root) == set()
    edit(root, ".gitlab-ci.yml", "include:\n", "include:\n  - ci/team.yml\n")
    write(root, "ci/team.yml", "smoke:\n  script: [make smoke]\n")
    with (root / place).open("a") as file:
        file.write(f"{job}\n")
    (finding,) = run("repo", root, "--format", "json").report["findings"]
    name = job.partition(":")[0]
    assert (finding["check"], finding["path"]) == ("PIP-009", place)
    assert finding["message"] == f"{name} is the platform's job, and {keys} of it is set here"
    line = (root / place).read_text().splitlines()[finding["line"] - 1]
    assert any(key in line for key in keys.split(", "))
    assert "a job of its own" in finding["fix"]


@pytest.mark.parametrize(
    "job",
    [
        # docs/pipeline-registries.md, and what a project has to adapt to its runners.
        f".in-kaniko:\n  image:\n    name: mirror.example.com/{KANIKO.partition('/')[2]}\n",
        ".in-crane:\n  image: mirror.example.com/crane/debug:v0.22.1\n",
        "build:\n  tags: [large]\n  timeout: 2h\n  retry: 1\n  variables: {GOFLAGS: -p=1}\n",
        "test:\n  services: [docker.io/library/postgres:18]\n  cache: {paths: [.cache]}\n",
        "template-update:\n  rules: [{when: never}]\n",
        "variables: {script: x}\n",
        "smoke-test:\n  extends: .in-ci-image\n  stage: check\n  script: [make smoke-test]\n",
        "deploy:\n  extends: .in-crane\n  stage: deploy\n  when: manual\n  script: [make]\n",
    ],
)
def test_what_a_team_may_set_for_a_platform_job(root: Path, job: str) -> None:
    with_the_platforms_jobs(root)
    write(root, ".gitlab-ci.yml", f"include:\n  - local: /ci/gitlab/pipeline.yml\n{job}")
    assert ids(root) == set()


def test_jobs_of_a_child_pipeline_are_no_platform_jobs(root: Path) -> None:
    with_the_platforms_jobs(root)
    write(root, "ci/child.yml", "verify:\n  script: [make child]\n")
    edit(root, ".gitlab-ci.yml", "\nstyle:\n", "\nchild:\n  trigger: {include: ci/child.yml}\nx:\n")
    assert ids(root) == set()


# The command line


def test_without_pyyaml_the_checks_are_named(root: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    write(blocked, "yaml.py", "raise ImportError('blocked')\n")
    environment = {**os.environ, "PYTHONPATH": str(blocked)}
    command = [sys.executable, str(TOOL), "repo", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done
    *listed, summary = done.stdout.splitlines()
    text = " ".join(" ".join(listed).split())
    yaml = [check.id for check in CHECKS.values() if check.needs_yaml]
    named = [check for check in yaml if not check.startswith("KUB")]
    assert text == f"not run: {', '.join(named)} (PyYAML is not installed: python3-yaml)"
    left = repository_checks(yaml=False)
    assert summary == f"payments: {left} checks, no findings, {len(named)} checks not run"
    strict = subprocess.run(
        [*command, "--strict"], capture_output=True, env=environment, check=False
    )
    assert strict.returncode == 1


@pytest.mark.parametrize("answers", ["", "ci: none\n"])
def pythons() -> list[str]:
    """Every Python of this machine: its own, Debian's, and those of pyenv."""
    found = {sys.executable: sys.executable}
    places = [Path("/usr/bin"), *Path.home().glob(".pyenv/versions/3.*/bin")]
    for program in [path for place in places for path in sorted(place.glob("python3.*"))]:
        version = re.fullmatch(r"python3\.(\d+)", program.name)
        if version and int(version.group(1)) >= 9 and os.access(program, os.X_OK):
            found[str(program.resolve())] = str(program)
    return sorted(found.values())


@pytest.mark.parametrize("python", pythons())
def test_any_python_runs_it(root: Path, tmp_path: Path, python: str) -> None:
    images = [docker_archive(tmp_path / "d", twin()), docker_archive(tmp_path / "r", release())]
    for arguments in (["repo"], ["image", images[0], "--twin", images[1]], ["list"]):
        command = [python, "-W", "error", root / "ci/conformance", *arguments]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), done


def test_a_python_that_is_too_old_is_told(root: Path) -> None:
    pretend = "import runpy, sys; sys.version_info = (3, 8, 18); runpy.run_path(sys.argv[1])"
    command = [sys.executable, "-c", pretend, str(root / "ci/conformance/__main__.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "conformance: this is Python 3.8, it needs 3.9 or newer\n"


@pytest.mark.parametrize("answers", ["", "ci: none\n"])
def test_a_service_without_a_pipeline(root: Path, answers: str) -> None:
    if answers:
        write(root, ".copier-answers.yml", answers)
    (root / ".gitlab-ci.yml").unlink()
    for name in ("gitlab", "pipeline"):
        shutil.rmtree(root / "ci" / name)
    answer = run("repo", root, "--format", "json")
    assert answer.ids == set()
    assert not [check for check in answer.report["checked"] if check.startswith("PIP")]


def test_the_tool_leaves_nothing_in_the_repository_that_it_checks(root: Path) -> None:
    commit_all(root, "Scaffold")
    answer = run_process("repo", cwd=root / "image", tool=root / "ci/conformance")
    assert (answer.code, answer.out) == (
        0,
        f"payments: {repository_checks()} checks, no findings\n",
    )
    # Python keeps the bytecode of __main__.py before that can forbid it.
    assert {path.name.split(".")[0] for path in root.rglob("*.pyc")} <= {"__main__"}
    assert git(root, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    "path", ["ci/queue.py", "ci/platform.py", "ci/argparse.py", "ci/yaml.py", "ci/conformance.py"]
)
def test_the_services_own_modules_are_not_taken_for_pythons(root: Path, path: str) -> None:
    """ci/ is the team's: none of its files may crash the tool, or stand in for a part of it."""
    write(root, path, "print('taken'); raise SystemExit(0)\n")
    image = docker_archive(root.parent / "i.tar", release())
    whole = repository_checks()
    for arguments, checks in ((["repo", "--strict"], whole), (["image", image], 12)):
        answer = run_process(*arguments, cwd=root, tool=root / "ci/conformance")
        assert (answer.code, answer.err) == (0, "")
        assert answer.out.endswith(f": {checks} checks, no findings\n")


@pytest.mark.parametrize("flags", [[], ["-B"], ["-P"], ["-I"]])
def test_bytecode_beside_the_tool_is_not_run(root: Path, flags: list[str]) -> None:
    fake = root.parent / "cli.py"
    fake.write_text("def main():\n    print('replaced')\n    return 0\n")
    kept = importlib.util.cache_from_source(str(root / "ci/conformance/cli.py"))
    Path(kept).parent.mkdir()
    py_compile.compile(
        str(fake), cfile=kept, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
    bytecode = Path(kept).relative_to(root).as_posix()
    git(root, "add", "--force", bytecode)
    command = [sys.executable, *flags, str(root / "ci/conformance"), "repo", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    found, _, summary, _ = done.stdout.splitlines()
    assert found == f"PLT-004  {bytecode}: git tracks bytecode among the platform's files"
    assert summary == f"payments: {repository_checks()} checks, 1 finding"


def test_a_fault_of_the_tool_is_one_line_and_no_finding(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from conformance import cli

    def broken(*_: object) -> None:
        raise ValueError("what\never")

    monkeypatch.setattr("conformance.repo.check", broken)
    assert cli.main(["repo", str(root)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(
        r"conformance: internal error, please report it: ValueError: what\\never "
        r"\(test_conformance_repo\.py:\d+\)\n",
        captured.err,
    ), captured.err


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    answer = run("repo", tmp_path / "none")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.endswith("none is not a directory\n")


def test_an_empty_directory_has_a_list_and_no_traceback(tmp_path: Path) -> None:
    answer = run("repo", tmp_path)
    assert (answer.code, answer.err) == (1, "")
    assert "there is no Dockerfile" in answer.out


def test_gitlab_report(root: Path) -> None:
    edit(root, "image/Dockerfile", "EXPOSE 8080", "RUN true\nRUN true")
    answer = run("repo", root, "--format", "gitlab")
    assert answer.code == 1
    issues = json.loads(answer.out)
    assert [(issue["check_name"], issue["severity"]) for issue in issues] == [
        ("DKF-011", "major")
    ] * 2
    assert [issue["location"] for issue in issues] == [
        {"path": "image/Dockerfile", "lines": {"begin": line}} for line in (15, 16)
    ]
    assert len({issue["fingerprint"] for issue in issues}) == 2
    assert json.loads(run("repo", service(root.parent / "other"), "--format", "gitlab").out) == []


def test_gitlab_report_of_an_image(tmp_path: Path) -> None:
    path = docker_archive(tmp_path / "i.tar", release().add(file("app/x", BUSYBOX, 0o755)))
    issues = json.loads(run("image", path, "--language", "go", "--format", "gitlab").out)
    assert [issue["location"]["path"] for issue in issues] == ["image/Dockerfile"]
    assert "/app/x" in issues[0]["description"]


def test_list_and_explain() -> None:
    listed = run("list")
    ids = [re.match(r"[A-Z]+-\d{3}", line) for line in listed.lines]
    assert [found[0] for found in ids if found] == list(CHECKS)
    groups = [line for line, found in zip(listed.lines, ids, strict=True) if line and not found]
    assert groups == list(GROUPS.values())
    assert [row["id"] for row in run("list", "--format", "json").report] == list(CHECKS)
    for check in CHECKS.values():
        answer = run("explain", check.id)
        assert max(map(len, answer.lines[1:])) <= 100
        text = " ".join(answer.out.split())
        for part in (check.rationale, check.fix, check.adr, *check.rules, "deviate"):
            assert part in text
        for page, line in re.findall(r"(specs/[\w/.-]+\.md)(?::(\d+))?", text):
            lines = (TEMPLATE / page).read_text(encoding="utf-8").splitlines()
            assert not line or lines[int(line) - 1].split()[1] in check.rules
    unknown = run("explain", "IMG-999")
    assert (unknown.code, unknown.out) == (2, "")
    assert unknown.err.startswith("conformance: no check IMG-999; ")


# Drift: what a service looks like after some months


def docker(old: str, new: str) -> Callable[[Path], object]:
    return lambda root: edit(root, "image/Dockerfile", old, new)


def renumbered(root: Path) -> None:
    path = record(root, 1)
    (root / path).rename(root / "specs/ADRs/service/SVC-0004-a-decision.md")


def half_updated(root: Path) -> None:
    write(
        root, "Makefile", "<<<<<<< before updating\nrun:\n=======\nstart:\n>>>>>>> after updating\n"
    )
    write(root, "README.md.rej", "@@\n")


ADR2 = "specs/ADRs/ADR-002-hermetic-ci-build-images.md"
ADR5 = "specs/ADRs/ADR-005-base-images-float-and-rebuild.md"

DRIFT: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "a shell for a script": (
        docker(
            "EXPOSE 8080",
            "COPY --from=builder --chown=0:0 /bin/sh /bin/sh\nRUN chmod +x /app/run.sh",
        ),
        {"DKF-011"},
    ),
    "root, for a port below 1024": (docker("USER 65532:65532", "USER root"), {"DKF-005"}),
    "apt-get in release": (
        docker("USER 65532", "RUN apt-get update && apt-get install -y curl\nUSER 65532"),
        {"DKF-011"},
    ),
    "alpine, to look around": (
        docker("gcr.io/distroless/static-debian13:nonroot", SHELL_BASE),
        {"DKF-010"},
    ),
    "a pinned old base": (
        docker("static-debian13:nonroot", "static-debian11:nonroot"),
        {"DKF-010"},
    ),
    "the latest toolchain": (docker("golang:1.26-trixie", "golang:latest"), {"DKF-008"}),
    "a base from the hub": (docker("FROM ${BUILDER_IMAGE}", "FROM golang"), {"DKF-008", "DKF-009"}),
    "a start script": (
        docker('ENTRYPOINT ["/app/payments"]', "ENTRYPOINT /app/run.sh && /app/payments"),
        {"DKF-004"},
    ),
    "a token for a private module": (
        docker("RUN go mod", "ARG GITHUB_TOKEN\nRUN go mod"),
        {"DKF-013"},
    ),
    "a downloaded agent": (
        docker("EXPOSE 8080", "ADD --chown=0:0 https://example.com/agent.jar /app/\nEXPOSE 8080"),
        {"DKF-006"},
    ),
    "tools in the debug image": (
        docker("ENTRYPOINT []", "COPY --from=builder --chown=0:0 /usr/local/go /go\nENTRYPOINT []"),
        {"DKF-012"},
    ),
    "the stages cleaned up": (docker("\nFROM release\n", "\n"), {"DKF-003"}),
    "an edited decision": (
        lambda root: edit(root, ADR2, "| Status | Accepted |", "| Status | Rejected |"),
        {"PLT-002"},
    ),
    "a deleted decision": (lambda root: (root / ADR5).unlink(), {"PLT-003"}),
    "a renumbered service record": (renumbered, {"REC-001", "REC-002"}),
    "a record from another tool": (
        lambda root: write(root, "specs/ADRs/service/0001-use-redis.md", "# Use Redis\n"),
        {"REC-001"},
    ),
    "a deviation that ran out": (
        lambda root: (
            deviation(root, expires="2026-05-31"),
            docker("STOPSIGNAL SIGTERM", "RUN true")(root),
        ),
        {"DEV-003", "DKF-011"},
    ),
    "an update half done": (half_updated, {"UPD-001", "UPD-003"}),
    "a job that installs": (
        lambda root: edit(
            root,
            ".gitlab-ci.yml",
            "- make lint",
            "- apt-get update && apt-get install -y jq\n    - make lint",
        ),
        {"PIP-003"},
    ),
    "docker-in-docker for one test": (
        lambda root: edit(
            root, ".gitlab-ci.yml", "  script:", "  services: [docker:dind]\n  script:"
        ),
        {"PIP-002"},
    ),
    "a job of its own among the platform's": (
        lambda root: write(
            root, "ci/gitlab/deploy.yml", "deploy:\n  image: $CI_IMAGE\n  script: [make]\n"
        ),
        {"PLT-004"},
    ),
    "a README that moved": (
        lambda root: edit(root, "README.md", "specs/", "docs/specs/"),
        {"REC-006"},
    ),
    "a real Dockerfile at the root": (
        lambda root: ((root / "Dockerfile").unlink(), write(root, "Dockerfile", DOCKERFILE)),
        {"DKF-016"},
    ),
}


# In an order in which each finds its line; another edit takes that of "a pinned old base".
AT_ONCE = [
    "a downloaded agent",
    "a shell for a script",
    "apt-get in release",
    "root, for a port below 1024",
    "alpine, to look around",
    "the latest toolchain",
    "a base from the hub",
    "a start script",
    "a token for a private module",
    "tools in the debug image",
    "the stages cleaned up",
    "an edited decision",
    "a deleted decision",
    "a renumbered service record",
    "a record from another tool",
    "a deviation that ran out",
    "an update half done",
    "a job that installs",
    "docker-in-docker for one test",
    "a job of its own among the platform's",
    "a README that moved",
    "a real Dockerfile at the root",
]


@pytest.mark.parametrize("edit_name", DRIFT)
def test_drift(root: Path, edit_name: str) -> None:
    change, expected = DRIFT[edit_name]
    change(root)
    assert ids(root) == expected


def test_everything_drifted_at_once(root: Path) -> None:
    """Months of edits in one service: the page that its team sees has every finding, no other.

    After a change that is meant, write tests/conformance/drift.txt anew from what is shown.
    """
    for name in AT_ONCE:
        DRIFT[name][0](root)
    assert len(AT_ONCE) >= 20
    answer = run("repo", root, "--today", TODAY)
    page = (Path(__file__).parent / "drift.txt").read_text(encoding="utf-8")
    assert answer.out == page.replace("{checks}", str(repository_checks()))
    report = run("repo", root, "--today", TODAY, "--format", "json")
    assert report.ids == set().union(*(DRIFT[name][1] for name in AT_ONCE))
    for item in report.report["findings"]:
        where = f"{item['path']}:{item['line']}" if item["line"] else item["path"]
        assert f"{item['check']}  {where}: {item['message']}" in answer.lines
        assert f"         fix: {item['fix']}" in answer.lines


def test_every_finding_has_a_line_that_exists(root: Path) -> None:
    for name in ("a shell for a script", "a job that installs", "a deviation that ran out"):
        DRIFT[name][0](root)
    for item in run("repo", root, "--today", TODAY, "--format", "json").report["findings"]:
        assert item["line"], item
        text = (root / item["path"]).read_text().splitlines()[item["line"] - 1]
        assert text.split()[0] in ("RUN", "-", "|"), text
