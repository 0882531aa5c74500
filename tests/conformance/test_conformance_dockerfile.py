"""The Dockerfile parser, on files that line-by-line readers get wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from conformance.dockerfile import DockerfileError, parse, split_words, substitute
from conformance_service import DOCKERFILE, service, write
from conformance_tool import run
from hypothesis import given
from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "dockerfiles"


def shape(text: str) -> list[tuple[int, str, str]]:
    return [(item.line, item.keyword, item.value) for item in parse(text).instructions]


def read(name: str) -> str:
    return (CORPUS / name).read_bytes().decode()


def test_comments_and_blanks_in_a_continuation() -> None:
    assert shape(read("comments.Dockerfile")) == [
        (4, "RUN", "echo one  && echo two # not a comment  && echo three"),
        (12, "ENV", "A=1   B=2"),
        (16, "RUN", "echo '# neither is this'"),
    ]


def test_heredocs() -> None:
    file = parse(read("heredocs.Dockerfile"))
    found = [(item.line, item.keyword, item.heredocs) for item in file.instructions]
    assert found == [
        (2, "RUN", ("FROM not-a-stage\nUSER root\n# a comment of the script",)),
        (7, "COPY", ("one\n", "\ttwo")),
        (13, "RUN", ("indented\nENDING",)),
        (18, "RUN", ()),
        (19, "RUN", ()),
        (20, "RUN", ()),
        (21, "USER", ()),
    ]
    assert len(file.stages) == 1


def test_odd_case_and_odd_space() -> None:
    file = parse(read("odd-case.Dockerfile"))
    assert [(stage.base, stage.name) for stage in file.stages] == [
        ("${Base}", "builder"),
        ("scratch", "release"),
        ("release", None),
    ]
    assert file.expand("${Base}") == "docker.io/library/golang:1.26"
    assert [item.keyword for item in file.stages[1].instructions] == ["USER", "ENTRYPOINT", "COPY"]
    assert file.stages[1].instructions[1].exec_form == ["/app/x", "a b"]
    assert file.stages[1].instructions[2].flags == (("from", "builder"), ("chown", "0:0"))


def test_the_escape_directive() -> None:
    file = parse(read("escape.Dockerfile"))
    assert [(item.keyword, item.value) for item in file.instructions] == [
        ("RUN", "dir c:\\"),
        ("COPY", "a   c:\\target\\"),
        ("USER", "ContainerUser"),
    ]
    assert file.directives == {"escape": ("`", 1)}


def test_directives_end_with_the_first_other_line() -> None:
    assert parse("# Syntax = a/b:1\n# check=skip=all\nFROM x").directives == {
        "syntax": ("a/b:1", 1),
        "check": ("skip=all", 2),
    }
    assert parse("# a comment\n# syntax=a/b:1\nFROM x").directives == {}
    assert parse("\n# syntax=a/b:1\nFROM x").directives == {}


def test_windows_line_ends_and_a_byte_order_mark() -> None:
    file = parse("\ufeffFROM a \\\r\n  AS one\r\nRUN x \\\r\n# c\r\n y\r\n")
    assert (file.stages[0].base, file.stages[0].name) == ("a", "one")
    assert file.stages[0].instructions[0].value == "x  y"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('["a", "b"]', ["a", "b"]),
        ('[ "a" ]', ["a"]),
        ("[]", []),
        ("['a']", None),
        ('["a"', None),
        ('["a", 1]', None),
        ('["a"] && b', None),
        ("a b", None),
    ],
)
def test_exec_form(text: str, value: list[str] | None) -> None:
    assert parse(f"FROM x\nCMD {text}").stages[0].instructions[0].exec_form == value


def test_pairs() -> None:
    file = parse(
        'FROM x\nENV A=1 B="two words" C=a\\ b\nENV OLD the rest of it\nARG D E=5\nLABEL "a b"=c'
    )
    assert [item.pairs for item in file.instructions] == [
        [("A", "1"), ("B", "two words"), ("C", "a b")],
        [("OLD", "the rest of it")],
        [("D", None), ("E", "5")],
        [("a b", "c")],
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A/${B}", "1/2"),
        ("${A:-x}${C:-x}${E:-x}", "1xx"),
        ("${E-x}${C-x}", "x"),
        ("${A:+x}${C:+x}", "x"),
        ("${C:-${A}}", "1"),
        ("\\$A", "$A"),
        ("$C", ""),
    ],
)
def test_substitution(text: str, expected: str) -> None:
    assert substitute(text, {"A": "1", "B": "2", "E": ""}) == expected


def test_arguments_of_from() -> None:
    file = parse(
        "ARG TAG=1\nARG IMAGE=r.example.com/x:${TAG}\nFROM ${IMAGE}\nARG IMAGE=other\nFROM $IMAGE"
    )
    assert [file.expand(stage.base) for stage in file.stages] == ["r.example.com/x:1"] * 2


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "no FROM"),
        ("# only\n", 1, "no FROM"),
        ("\nRUN x\nFROM y", 2, "before the first FROM"),
        ("FROM x\nFOO y", 2, "unknown instruction FOO"),
        ("FROM x y", 1, "FROM wants"),
        ("FROM", 1, "without an argument"),
        ("FROM x\nRUN <<EOF\nhello", 2, "no end"),
        ("# escape=x\nFROM x", 1, "escape"),
        ("FROM x\nCOPY --from=y", 2, "without an argument"),
    ],
)
def test_errors_have_a_line(text: str, line: int, words: str) -> None:
    with pytest.raises(DockerfileError, match=words) as caught:
        parse(text)
    assert caught.value.line == line


@given(st.text(max_size=300))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        parse("FROM x\n" + text)
    except DockerfileError as error:
        line = error.line
    else:
        line = 1
    assert line >= 1


@given(st.text(max_size=80))
def test_words_lose_nothing_but_space(text: str) -> None:
    assert "".join("".join(split_words(text)).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # Comments and heredocs that look like instructions.
        ("EXPOSE 8080", "# RUN apt-get update\nEXPOSE 8080"),
        ("EXPOSE 8080", "EXPOSE 8080 \\\n# USER root\n  9090"),
        ("RUN GOPROXY=off", "RUN echo 'FROM golang:latest' && GOPROXY=off"),
        # The same thing, written differently.
        ("FROM ${RELEASE_IMAGE} AS release", "from\t$RELEASE_IMAGE as Release"),
        ("USER 65532:65532", 'user "65532:65532"'),
        ('ENTRYPOINT ["/app/payments"]', 'Entrypoint [ \\\n  "/app/payments" \\\n]'),
        ("FROM release\n", "FROM Release"),
        ("RUN go mod download", "RUN --mount=type=cache,target=/go/pkg go mod download"),
        ("COPY . .", "ADD vendor.tar.gz /src/\nCOPY . ."),
        ("COPY . .", 'COPY ["a file", "/src/"]\nCOPY . .'),
        # A helper stage, a digest, a mirror, scratch.
        (
            "FROM ${RELEASE_IMAGE}",
            "FROM ${BUILDER_IMAGE} AS tools\nRUN true\n\nFROM ${RELEASE_IMAGE}",
        ),
        (":nonroot\n", ":nonroot@sha256:" + "c" * 64 + "\n"),
        ("RELEASE_IMAGE=gcr.io/", "RELEASE_IMAGE=registry.example.com:5000/mirror/gcr.io/"),
        ("FROM ${RELEASE_IMAGE}", "FROM scratch"),
        ("EXPOSE 8080", "COPY --chown=0:0 a /app/a\nEXPOSE 8080"),
        ("EXPOSE 8080", "ENV TOKEN_FILE=/run/secrets/token\nEXPOSE 8080"),
    ],
)
def test_unusual_but_right(tmp_path: Path, old: str, new: str) -> None:
    root = service(tmp_path / "payments")
    assert old in DOCKERFILE
    head, _, tail = DOCKERFILE.rpartition(old)
    write(root, "image/Dockerfile", head + new + tail)
    answer = run("repo", root)
    assert answer.code == 0, answer.out


@pytest.mark.parametrize(
    ("old", "new", "line", "check"),
    [
        (
            "EXPOSE 8080",
            "EXPOSE 8080 \\\n  # a comment\n\n  9090\nRUN apt-get update",
            19,
            "DKF-011",
        ),
        ("USER 65532:65532", "USER 65532:65532\nuSeR \\\n  root", 15, "DKF-005"),
        ("COPY . .", "COPY \\\n  --parents \\\n  . .", 9, "DKF-007"),
        ("FROM ${RELEASE_IMAGE} AS release", "FROM ${RELEASE_IMAGE:-x} AS release", 12, "DKF-009"),
    ],
)
def test_lines_of_findings(tmp_path: Path, old: str, new: str, line: int, check: str) -> None:
    root = service(tmp_path / "payments")
    write(root, "image/Dockerfile", DOCKERFILE.replace(old, new, 1))
    answer = run("repo", root)
    (found,) = answer.found
    assert found.startswith(f"{check}  image/Dockerfile:{line}: "), answer.out


RUNTIME = "FROM ${RELEASE_IMAGE} AS release"
SPLIT = "FROM ${{RELEASE_IMAGE}} AS runtime\n{}\nFROM runtime AS release"


def test_a_stage_that_the_release_stands_on_belongs_to_it(tmp_path: Path) -> None:
    root = service(tmp_path / "payments")
    parent = SPLIT.format("COPY --from=builder /bin/sh /bin/sh\nRUN id\nENTRYPOINT sh\n")
    write(root, "image/Dockerfile", DOCKERFILE.replace(RUNTIME, parent))
    assert run("repo", root).found == [
        "DKF-004  image/Dockerfile:15: ENTRYPOINT is in shell form",
        "DKF-011  image/Dockerfile:14: RUN in the stage runtime, which the release stage stands on",
    ]


def test_what_the_release_inherits_counts(tmp_path: Path) -> None:
    """USER, HEALTHCHECK, ENTRYPOINT and labels of a parent stage are those of the release."""
    root = service(tmp_path / "payments")
    start = DOCKERFILE.index("USER 65532")
    settings = DOCKERFILE[start : DOCKERFILE.index("\nFROM ${DEBUG_FROM}")]
    assert "HEALTHCHECK" in settings
    assert "ENTRYPOINT" in settings
    parent = SPLIT.format(settings.replace("ARG VERSION", "CMD []\nARG VERSION"))
    text = DOCKERFILE.replace(settings, "").replace(RUNTIME, parent)
    text = text.replace("COPY --from=builder", "COPY --chown=0:0 --from=builder")
    write(root, "image/Dockerfile", text)
    assert run("repo", root).found == []
    write(root, "image/Dockerfile", text.replace("USER 65532:65532", "USER 0"))
    assert [line[:7] for line in run("repo", root).found] == ["DKF-005"]


def test_an_entrypoint_drops_the_command_of_the_parent_stage(tmp_path: Path) -> None:
    root = service(tmp_path / "payments")
    parent = SPLIT.format('CMD ["/app/other"]\n')
    write(root, "image/Dockerfile", DOCKERFILE.replace(RUNTIME, parent))
    assert run("repo", root).found == []


def test_a_copy_after_the_user_of_a_stage_further_up(tmp_path: Path) -> None:
    root = service(tmp_path / "payments")
    parent = SPLIT.format("USER 65532:65532\n\nFROM runtime AS middle\n").replace(
        "FROM runtime AS release", "FROM middle AS release"
    )
    write(root, "image/Dockerfile", DOCKERFILE.replace(RUNTIME, parent))
    assert [line[:7] for line in run("repo", root).found] == ["DKF-007"]


@pytest.mark.parametrize("number", ["²", "9" * 5000])
def test_a_stage_by_a_number_that_is_none(tmp_path: Path, number: str) -> None:
    root = service(tmp_path / "payments")
    write(root, "image/Dockerfile", DOCKERFILE.replace("--from=builder", f"--from={number}", 1))
    assert [line[:7] for line in run("repo", root).found] == ["DKF-008", "DKF-008"]


def test_stages_in_another_order(tmp_path: Path) -> None:
    root = service(tmp_path / "payments")
    builder, release, debug, closing = DOCKERFILE.split("FROM ${BUILDER_IMAGE}")[1].split("\nFROM ")
    head = DOCKERFILE.split("FROM ${BUILDER_IMAGE}")[0]
    text = "\nFROM ".join([head + "FROM " + release, "${BUILDER_IMAGE}" + builder, debug, closing])
    write(root, "image/Dockerfile", text)
    assert "DKF-002" in run("repo", root, "--format", "json").ids


def test_a_missing_dockerfile_is_one_finding_and_its_links(tmp_path: Path) -> None:
    root = service(tmp_path / "payments")
    (root / "image/Dockerfile").unlink()
    answer = run("repo", root)
    assert answer.found[0] == "DKF-001  image/Dockerfile: the file is missing"
    assert {line[:7] for line in answer.found[1:]} <= {"REC-006"}
