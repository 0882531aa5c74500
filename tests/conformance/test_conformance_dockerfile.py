"""The Dockerfile parser, on files that line-by-line readers get wrong."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
from conformance.dockerfile import DockerfileError, parse, split_words
from conformance.expansion import ExpansionError, Value, expand
from conformance.instructions import faults
from conformance_service import DOCKERFILE, service, write
from conformance_tool import run
from hypothesis import given
from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "dockerfiles"


def problems(text: str) -> list[tuple[int, str]]:
    """What docker refuses, with its lines."""
    try:
        file = parse(text)
    except DockerfileError as error:
        return [(error.line, str(error))]
    return [(error.line, str(error)) for error in file.problems] + list(faults(file))


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
        [("A", "1"), ("B", '"two words"'), ("C", "a\\ b")],
        [("OLD", "the rest of it")],
        [("D", None), ("E", "5")],
        [('"a b"', "c")],
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A/${B}", "1/2"),
        ("${A:-x}${C:-x}${E:-x}", "1xx"),
        ("${E-x}${C-x}", "x"),
        ("${A:+x}${C:+x}", "x"),
        ("${A+x}${E+x}${C+x}", "xx"),
        ("${C:-${A}}", "1"),
        ("${C:-${C:-${C:-${V#v}}}}", "1.2.3-rc.1"),
        ("\\$A", "$A"),
        ("$C", ""),
        ("'$A'\"$A\"", "$A1"),
        ('"\\$A\\"\\n"', '$A"\\n'),
        ("${V#v}|${V##*.}|${V%.*}|${V%%.*}", "1.2.3-rc.1|1|v1.2.3-rc|v1"),
        ("${V#*.}|${V%-*}|${V#x}|${V##*}", "2.3-rc.1|v1.2.3|v1.2.3-rc.1|"),
        ("${V#?1}|${V%?}|${V#\\v}|${V#'v1'}", ".2.3-rc.1|v1.2.3-rc.|bad|.2.3-rc.1"),
        ("${V/./-}|${V//./-}|${V/rc.?/x}|${V/q/x}", "v1-2.3-rc.1|v1-2-3-rc-1|v1.2.3-x|v1.2.3-rc.1"),
        ("${A:?x}a${A?}", "1a1"),
        ("$1$@${1}a", "a"),
        ("$", "$"),
        ("a$/b", "a$/b"),
    ],
)
def test_substitution(text: str, expected: str) -> None:
    values = {"A": "1", "B": "2", "E": "", "V": "v1.2.3-rc.1"}
    known = {name: Value(value) for name, value in values.items()}
    if "bad" in expected:
        text = text.replace("|${V#\\v}", "")
        expected = expected.replace("|bad", "")
        with pytest.raises(ExpansionError, match="bad substitution"):
            expand("${V#\\v}", known)
    assert expand(text, known).text == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("'a", "a quote is not closed"),
        ('"a$A', "a quote is not closed"),
        ("${A", "has no }"),
        ("${A:-x", "has no }"),
        ("${}", "bad substitution"),
        ("${{A}}", "bad substitution"),
        ("${A^^}", "bad substitution"),
        ("${A:#x}", "bad substitution"),
        ("${A:0:1}", "bad substitution"),
        ("${A//*/x}", "bad substitution"),
        ("${C:?say why}", "C: say why"),
        ("${C?}", "C: it has no value"),
        ("${A:-" * 60 + "}" * 60, "more than 50 braces"),
        ("$A" * (1 << 20), "more than 1048576 characters"),
        ("${L//b*/c}" * 40, "more than 1048576 characters"),
    ],
)
def test_what_cannot_be_substituted(text: str, words: str) -> None:
    with pytest.raises(ExpansionError, match=words):
        expand(text, {"A": Value("12"), "L": Value("a" * 200)})


@given(st.text(alphabet="aA1${}:-+#%/?*'\"\\ ", max_size=40))
def test_any_word_is_expanded_or_refused(text: str) -> None:
    with contextlib.suppress(ExpansionError):
        assert len(expand(text, {"A": Value("1a"), "a": Value("")}).text) < 10_000


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
        ("FROM", 1, "FROM wants"),
        ("FROM x\nRUN <<EOF\nhello", 2, "no end"),
        ("# escape=x\nFROM x", 1, "escape"),
        ("# escape=`\n# escape=`\nFROM x", 2, "twice"),
        ("FROM x\nCOPY --from=y", 2, "wants what to copy"),
        ("FROM x\nRUN " + "x" * 65536, 2, "more than 65535 bytes"),
        ("FROM x AS 1x", 1, "a stage cannot be named 1x"),
        ("FROM x AS a/b", 1, "a stage cannot be named a/b"),
        ("FROM --arch=x x", 1, "FROM has no option --arch"),
        ("ARG A='1\nFROM x", 1, "a quote is not closed"),
        ("ARG =1\nFROM x", 1, "without a name"),
        ("ARG\nFROM x", 1, "ARG without an argument"),
        ("FROM x\nENV", 2, "ENV without an argument"),
        ("FROM x\nENV X", 2, "ENV X has no value"),
        ("FROM x\nENV A=1 B", 2, "ENV B has no value"),
        ("FROM x\nLABEL X", 2, "LABEL X has no value"),
        ("FROM x\nCOPY a", 2, "wants what to copy"),
        ('FROM x\nCOPY ["a"]', 2, "wants what to copy"),
        ('FROM x\nCOPY ["a", 1]', 2, "no string"),
        ("FROM x\nCOPY 'a b' c", 2, "a quote is not closed"),
        ("FROM x\nCOPY --link=maybe a b", 2, "true or false"),
        ("FROM x\nCOPY --from a b", 2, "wants a value"),
        ("FROM x\nCOPY --chown=1 --chown=2 a b", 2, "twice"),
        ("FROM x\nCOPY a <<b\nb", 2, "in the place of where to"),
        ("FROM x AS y\nCOPY --from=Y a b", 2, "from the stage Y itself"),
        ("FROM x AS y\nCOPY --from=0 a b", 2, "from the stage 0 itself"),
        ("FROM x\nCOPY --from=z a b\nFROM x AS z", 2, "stands after it"),
        ("FROM x\nCOPY --from=7 a b", 2, "which is not there"),
        ("FROM x\nCOPY --from=${Z} a b", 2, "it takes no variable"),
        ("FROM x\nRUN --mount=from=$Z,target=/x y", 2, "it takes no variable"),
        ("FROM x\nRUN --mount=type=volume y", 2, "expected bind, cache"),
        ("FROM x\nRUN --mount=type=cache,to=/x y", 2, "no option to"),
        ("FROM x\nRUN --network=bridge y", 2, "expected default, none or host"),
        ("FROM x\nUSER", 2, "USER without an argument"),
        ("FROM x\nSTOPSIGNAL SIGKIL", 2, "is no signal"),
        ("FROM x\nEXPOSE 80/http", 2, "is no port"),
        ("FROM x\nEXPOSE 90-80", 2, "is no port"),
        ("FROM x\nEXPOSE 70000", 2, "is no port"),
        ("FROM x\nVOLUME []", 2, "without a directory"),
        ("FROM x\nSHELL /bin/sh -c", 2, "JSON array"),
        ("FROM x\nHEALTHCHECK NONE x", 2, "takes nothing"),
        ("FROM x\nHEALTHCHECK curl x", 2, "expected CMD or NONE"),
        ("FROM x\nHEALTHCHECK CMD", 2, "without a command"),
        ("FROM x\nHEALTHCHECK --interval=10 CMD x", 2, "is no duration"),
        ("FROM x\nHEALTHCHECK --timeout=1us CMD x", 2, "less than a millisecond"),
        ("FROM x\nHEALTHCHECK --retries=few CMD x", 2, "is no number"),
        ("FROM x\nONBUILD ONBUILD RUN x", 2, "is not allowed"),
        ("FROM x\nONBUILD FROM x", 2, "is not allowed"),
        ("FROM x\nONBUILD COPY --owner=0 a b", 2, "ONBUILD COPY has no option"),
        ("FROM scratch\nUSER ${X:?is missing}", 2, "X: is missing"),
    ],
)
def test_errors_have_a_line(text: str, line: int, words: str) -> None:
    ((where, what),) = problems(text)
    assert words in what
    assert where == line


@pytest.mark.parametrize(
    "text",
    [
        "FROM x\nEXPOSE 80 443/TCP 8000-8010/udp 127.0.0.1:80:8080 ${PORT}",
        "FROM x\nSTOPSIGNAL RTMIN+3\nSTOPSIGNAL 15\nSTOPSIGNAL ${S}",
        "FROM x\nHEALTHCHECK --interval=1m30s --timeout=0 --start-period=.5s CMD x",
        "FROM x\nHEALTHCHECK --interval=x NONE",
        "FROM x\nUSER ${X:?given by the base}",
        "ARG A B=1\nFROM x\nARG --x A",
        "FROM x\nENV A the rest 'of it'\nLABEL a=b c='d e'",
        'FROM x\nCOPY --link --from="y/z:1" [ "a b", "c" ]',
        "FROM x\nRUN --mount=type=cache,target=/c,id=a,sharing=locked --mount=ro y",
        "FROM x AS a-b_c.d\nFROM a-b_c.d\nCOPY --from=A-B_C.D x y",
        "FROM x\nRUN\nCMD []\nENTRYPOINT []",
        "FROM x\nONBUILD RUN <<EOF\nRUN in the heredoc\nEOF\nUSER 1",
    ],
)
def test_what_docker_takes(text: str) -> None:
    assert problems(text) == []


def test_a_file_with_several_faults_is_read_to_its_end() -> None:
    text = "FROM x\nCOPY --owner=1 a b\nENV X\nEXPOSE y\nFOO z\nUSER 1"
    assert [line for line, _ in problems(text)] == [5, 2, 3, 4]
    assert [item.keyword for item in parse(text).instructions] == ["COPY", "ENV", "EXPOSE", "USER"]


def test_defaults_that_grow_tenfold_a_level_end_at_once() -> None:
    lines = ["ARG A0=xxxxxxxxxx"]
    lines += [f"ARG A{level}={f'${{A{level - 1}}}' * 10}" for level in range(1, 30)]
    started = time.process_time()
    found = problems("\n".join(lines) + "\nFROM x")
    assert found == [(6, "ARG A5: the variables expand to more than 1048576 characters")]
    stage = "FROM x\n" + "\n".join(lines) + "\nRUN y\nUSER 1"
    assert problems(stage) == [(7, "the variables expand to more than 1048576 characters")]
    assert time.process_time() - started < 2


@given(st.text(max_size=300))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    assert all(line >= 1 and what for line, what in problems("FROM x\n" + text))


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


@pytest.mark.parametrize(("number", "check"), [("²", "DKF-008"), ("9" * 5000, "DKF-001")])
def test_a_stage_by_a_number_that_is_none(tmp_path: Path, number: str, check: str) -> None:
    root = service(tmp_path / "payments")
    write(root, "image/Dockerfile", DOCKERFILE.replace("--from=builder", f"--from={number}", 1))
    assert [line[:7] for line in run("repo", root).found] == [check]


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
