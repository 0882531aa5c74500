"""The checks and the pipeline's resolver read one corpus alike: Python here, awk there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from conformance.dockerfile import Dockerfile, DockerfileError, parse
from conformance_service import DOCKERFILE
from conformance_tool import TEMPLATE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# In the image of crane, where it runs, awk is busybox's.
(RESOLVER,) = TEMPLATE.glob("*/ci/*/dockerfile.awk")
AWKS = [["awk"], *(["busybox", "awk"], ["gawk"], ["mawk"], ["original-awk"])]
AWKS = list(
    {
        (Path(found).resolve(), *command[1:]): command
        for command in reversed(AWKS)
        if (found := shutil.which(command[0]))
    }.values()
)
SERVICE, CI_IMAGE = "image/Dockerfile", "ci/image/Dockerfile"
RELEASE = "gcr.io/distroless/static-debian13:nonroot"
DIGEST = "sha256:" + "d" * 64


def awk(command: list[str], mode: str, text: str, root: Path, path: str = SERVICE) -> str:
    """What the resolver prints, or its error."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(text.encode())
    (root / "bases").write_text(f"- docker.io/library/alpine:3.22 {DIGEST}\n")
    options = ["-v", f"mode={mode}"] + (["-v", "bases=bases"] if mode == "pin" else [])
    done = subprocess.run(
        [*command, *options, "-f", str(RESOLVER), path],
        cwd=root, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    if done.returncode:
        assert done.returncode == 1, done
        return done.stderr.decode()
    assert done.stderr == b"", done
    return done.stdout.decode()


def error(path: str, problem: str, line: int, fix: str = "") -> str:
    return f"error: {path}: {problem} (line {line}){'; ' + fix if fix else ''}\n"


def read(text: str, path: str) -> Dockerfile | str:
    """The file as the checks read it, or what stops the resolver before it looks at a stage."""
    try:
        file = parse(text)
    except DockerfileError as refused:
        return error(path, str(refused), refused.line)
    for problem in file.problems:
        if str(problem).startswith("ARG "):
            return error(path, str(problem), problem.line)
    return file


def bases(text: str, path: str = SERVICE) -> str:
    file = read(text, path)
    if isinstance(file, str):
        return file
    found = file.bases(path == SERVICE)
    for base in found:
        if base.problem:
            return error(path, base.problem, base.line, base.fix)
    return "".join(f"{base.argument} {base.image}\n" for base in found)


def inputs(text: str, path: str = CI_IMAGE) -> str:
    file = read(text, path)
    if isinstance(file, str):
        return file
    base = next((item for item in file.bases(False) if item.problem), None)
    for item in sorted(file.inputs(), key=lambda item: item.line):
        if base is not None and base.line < item.line:
            break
        if item.problem:
            return error(path, item.problem, item.line, item.fix)
    if base is not None:
        return error(path, base.problem, base.line, base.fix)
    return "".join(f"{item.path}\n" for item in file.inputs())


R = f"RELEASE_IMAGE {RELEASE}\n"
FROM_R = "FROM ${RELEASE_IMAGE} AS release\n"

CORPUS: dict[str, tuple[str, str]] = {
    "a default in a default": (
        f"ARG D=13\nARG RELEASE_IMAGE={RELEASE.replace('13', '${D}')}\n{FROM_R}",
        R,
    ),
    "without braces": (f"ARG T=nonroot\nARG RELEASE_IMAGE={RELEASE[:-7]}$T\n{FROM_R}", R),
    "a default behind a dash": (f"ARG X\nARG RELEASE_IMAGE=${{X:-{RELEASE}}}\n{FROM_R}", R),
    "a default behind three": (
        f"ARG X\nARG RELEASE_IMAGE=${{X:-${{Y:-${{Z-{RELEASE}}}}}}}\n{FROM_R}",
        R,
    ),
    "an alternative": (f"ARG D=1\nARG RELEASE_IMAGE=${{D:+{RELEASE}}}\n{FROM_R}", R),
    "a beginning cut off": (
        f"ARG V=v13\nARG RELEASE_IMAGE={RELEASE.replace('13', '${V#v}')}\n{FROM_R}",
        R,
    ),
    "an end cut off": (
        f"ARG V=13.2.1\nARG RELEASE_IMAGE={RELEASE.replace('13', '${V%%.*}')}\n{FROM_R}",
        R,
    ),
    "a part replaced": (
        f"ARG V=static_debian13\nARG RELEASE_IMAGE=gcr.io/distroless/${{V/_/-}}:nonroot\n{FROM_R}",
        R,
    ),
    "quotes": (f"ARG A=\"{RELEASE}\" B='x'\nARG RELEASE_IMAGE=\"$A\"\n{FROM_R}", R),
    "windows line ends": (f"ARG RELEASE_IMAGE={RELEASE}\r\n{FROM_R}".replace("\n", "\r\n"), R),
    "a byte order mark": (f"\ufeffARG RELEASE_IMAGE={RELEASE}\n{FROM_R}", R),
    "a continuation with a comment in it": (
        f"ARG A=1 \\\n# no\n\n  RELEASE_IMAGE={RELEASE}\n{FROM_R}",
        R,
    ),
    "the other escape": (f"# escape=`\nARG RELEASE_IMAGE=`\n{RELEASE}\n{FROM_R}", R),
    "an argument that is set again": (
        f"ARG RELEASE_IMAGE=a/b:1\nARG RELEASE_IMAGE={RELEASE}\nARG RELEASE_IMAGE\n{FROM_R}",
        R,
    ),
    "two on one line": (f"ARG DEBUG_FROM=release RELEASE_IMAGE={RELEASE}\n{FROM_R}", R),
    "an argument that names a stage": (
        f"ARG RELEASE_IMAGE={RELEASE}\nARG DEBUG_FROM=release\n{FROM_R}FROM $DEBUG_FROM AS debug\n",
        R,
    ),
    "a stage in other letters": (
        f"ARG RELEASE_IMAGE={RELEASE}\n{FROM_R.replace('release', 'Release')}FROM release\n",
        R,
    ),
    "a stage that docker does not find": (
        f"ARG RELEASE_IMAGE={RELEASE}\n{FROM_R}FROM RELEASE\n",
        error(SERVICE, "FROM RELEASE is no name of an image", 3, "write registry/repository:tag"),
    ),
    "an image by another argument": ("ARG BASE=a.io/b:1\nFROM ${BASE} AS x\n", "- a.io/b:1\n"),
    "an image put together": ("ARG V=1\nFROM a.io/b:${V}-slim\n", "- a.io/b:1-slim\n"),
    "a short name": ("FROM golang:1 AS x\nCOPY --from=alpine /a /b\n", "- golang:1\n- alpine\n"),
    "an argument that nothing starts from": (
        "ARG X\nARG LINT_IMAGE=a.io/${X}\nFROM scratch\n",
        "",
    ),
    "an image that is copied from": (
        "FROM scratch AS x\nCOPY --chown=0:0 --from='a.io/b:1' [\"/c\", \"/d\"]\n",
        "- a.io/b:1\n",
    ),
    "a stage that is copied from": (
        "FROM scratch AS x\nFROM x\nCOPY --from=0 a b\nCOPY --from=X a b\n",
        "",
    ),
    "behind ONBUILD": ("FROM scratch\nONBUILD COPY --from=a.io/b:1 c d\n", "- a.io/b:1\n"),
    "in a heredoc": (
        "FROM scratch\nRUN <<A cat <<-'B'\nFROM a.io/b:1\nA\n\tFROM a.io/b:1\n\tB\n"
        "COPY <<C /x\nC\n",
        "",
    ),
    "in a heredoc behind ONBUILD": ("FROM scratch\nONBUILD RUN <<A\nFROM a.io/b:1\nA\n", ""),
    "no heredoc": (
        "FROM scratch\nRUN echo $((1<<2)) '<<A' \"<< B\"\nFROM a.io/b:1\n",
        "- a.io/b:1\n",
    ),
    "the same image twice": (
        "FROM a.io/b:1\nFROM a.io/b:1\nCOPY --from=a.io/b:1 c d\n",
        "- a.io/b:1\n",
    ),
    "a digest": (f"FROM a.io/b:1@{DIGEST}\n", f"- a.io/b:1@{DIGEST}\n"),
    # What nobody can know.
    "no default": (
        f"ARG RELEASE_IMAGE\n{FROM_R}",
        error(SERVICE, "ARG RELEASE_IMAGE names no image", 2, "give it the base as its default"),
    ),
    "no argument": (
        "FROM a.io/b:${V}\n",
        error(
            SERVICE, "FROM a.io/b:${V} needs a value for V", 1,
            "write ARG V=… before the first FROM",
        ),
    ),
    "no default further up": (
        f"ARG D\nARG RELEASE_IMAGE=a.io/b:${{D}}\n{FROM_R}",
        error(
            SERVICE, "FROM ${RELEASE_IMAGE} needs a value for D", 3,
            "write ARG D=… before the first FROM",
        ),
    ),
    "what only docker knows": (
        "FROM a.io/b-$TARGETARCH:1\n",
        error(
            SERVICE, "FROM a.io/b-$TARGETARCH:1 needs a value for TARGETARCH", 1,
            "write ARG TARGETARCH=… before the first FROM",
        ),
    ),
    "an empty default": (
        f"ARG RELEASE_IMAGE=\n{FROM_R}",
        error(SERVICE, "FROM names no image", 2, "write registry/repository:tag"),
    ),
    "an open quote": (
        "ARG A='x\nFROM scratch\n",
        error(SERVICE, "ARG A: a quote is not closed", 1),
    ),
    "a substitution of another shell": (
        "ARG A=x\nFROM ${A^^}\n",
        error(SERVICE, "FROM ${A^^}: bad substitution", 2, "write it as docker reads it"),
    ),
    "a value that must be given": (
        "FROM ${A:?say which}\n".replace(" which", ""),
        error(SERVICE, "FROM ${A:?say}: A: say", 1, "write it as docker reads it"),
    ),
    "a name of no image": (
        "FROM A.io/B:1\n",
        error(SERVICE, "FROM A.io/B:1 is no name of an image", 1, "write registry/repository:tag"),
    ),
    "a variable in --from": (
        "FROM scratch\nCOPY --from=${A} b c\n",
        error(
            SERVICE, "COPY --from=${A} is no name of an image", 2, "write registry/repository:tag"
        ),
    ),
    "an open heredoc": (
        "FROM scratch\nRUN <<A\nb\n",
        error(SERVICE, "the heredoc A has no end", 2),
    ),
    "nothing": ("# a comment\n", error(SERVICE, "no FROM in the file", 1)),
    "defaults that grow": (
        "ARG A0=xxxxxxxxxx\n"
        + "".join(f"ARG A{n}={f'${{A{n - 1}}}' * 10}\n" for n in range(1, 12))
        + "FROM scratch\n",
        error(SERVICE, "ARG A5: the variables expand to more than 1048576 characters", 6),
    ),
    "braces that grow": (
        f"ARG A={'${A:-' * 60}{'}' * 60}\nFROM scratch\n",
        error(SERVICE, "ARG A: more than 50 braces stand in each other", 1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("command", AWKS, ids=" ".join)
@pytest.mark.parametrize("name", CORPUS)
def test_the_bases_of_a_file(tmp_path: Path, name: str, command: list[str]) -> None:
    text, expected = CORPUS[name]
    assert bases(text) == expected
    assert awk(command, "list", text, tmp_path) == expected


@pytest.mark.parametrize("command", AWKS, ids=" ".join)
def test_the_bases_of_the_ci_image_are_all_in_its_file(tmp_path: Path, command: list[str]) -> None:
    """No build argument reaches its build: what FROM takes from one is pinned where it stands."""
    text = "ARG GO_IMAGE=docker.io/library/alpine:3.22\nFROM ${GO_IMAGE}\n"
    assert bases(text, CI_IMAGE) == "- docker.io/library/alpine:3.22\n"
    assert awk(command, "list", text, tmp_path, CI_IMAGE) == "- docker.io/library/alpine:3.22\n"
    assert awk(command, "list", text, tmp_path) == "GO_IMAGE docker.io/library/alpine:3.22\n"
    pinned = awk(command, "pin", text, tmp_path, CI_IMAGE)
    assert pinned.splitlines()[1] == f"FROM docker.io/library/alpine:3.22@{DIGEST}"


INPUTS: dict[str, tuple[str, str]] = {
    "files": ("COPY a b/c ./d ./\nADD /e f/\n", "a\nb/c\n./d\ne\n"),
    "an array": ('COPY [ "a b" , "c\\/d" , "/x" ]\n', "a b\nc/d\n"),
    "all": ("COPY . .\nADD / /x\n", ".\n.\n"),
    "not from the context": (
        "COPY --from=a/b:1 c d\nADD https://x/y z\nCOPY <<E /f\nE\nADD git@x:y z\n",
        "",
    ),
    "options": ("COPY --chown=1:1 --chmod=644 a b\n", "a\n"),
    "a variable": (
        "ARG D=tools\nENV E=$D/x\nCOPY ${D}/go.mod $E/go.sum ./\n",
        "tools/go.mod\ntools/x/go.sum\n",
    ),
    "the old form of ENV": ("ENV D a b\nCOPY ${D} c\n", "a b\n"),
    "a variable in itself": ("ENV A=1\nENV A=2 B=$A\nCOPY $A$B c\n", "21\n"),
    "a mount": (
        "RUN --mount=type=bind,source=go.mod,target=/x a\nRUN --mount=target=/y b\n"
        "RUN --mount=type=cache,target=/z c\nRUN --mount=from=x,src=d,target=/e f\n",
        "go.mod\n.\n",
    ),
    "one quote": ("COPY 'a' \"b\" c\n", "a\nb\n"),
    "behind ONBUILD": ("ONBUILD COPY a b\n", ""),
    "what the base knows": (
        "COPY $HOME/a b\n",
        error(
            CI_IMAGE, "COPY $HOME/a needs a value for HOME", 3,
            "write ARG HOME=… before it, in this stage",
        ),
    ),
    "what is given from outside": (
        "ARG X\nCOPY $X/a b\n",
        error(
            CI_IMAGE, "COPY $X/a needs a value for X", 4,
            "write ARG X=… before it, in this stage",
        ),
    ),
    "of the whole file": ("ARG G\nCOPY $G b\n", "tools\n"),
    "an open quote": (
        "COPY 'a b' c\n",
        error(CI_IMAGE, "COPY 'a: a quote is not closed", 3, "write it as docker reads it"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("command", AWKS, ids=" ".join)
@pytest.mark.parametrize("name", INPUTS)
def test_the_inputs_of_the_ci_image(tmp_path: Path, name: str, command: list[str]) -> None:
    text, expected = INPUTS[name]
    text = "ARG G=tools\nFROM a.io/b:1 AS x\n" + text
    assert inputs(text) == expected
    assert awk(command, "inputs", text, tmp_path, CI_IMAGE) == expected


@pytest.mark.parametrize("command", AWKS, ids=" ".join)
def test_a_stage_sees_the_variables_of_the_one_that_it_stands_on(
    tmp_path: Path, command: list[str]
) -> None:
    text = (
        "FROM scratch AS a\nENV A=1\nFROM scratch AS b\nENV A=2\nFROM a\nCOPY $A$B x\n"
        "FROM scratch\nARG C\nCOPY y$A x\n"
    )
    assert inputs(text) == "1\ny\n"
    assert awk(command, "inputs", text, tmp_path, CI_IMAGE) == "1\ny\n"


@pytest.mark.parametrize("command", AWKS, ids=" ".join)
def test_images_in_the_file_get_their_digest(tmp_path: Path, command: list[str]) -> None:
    name = "docker.io/library/alpine:3.22"
    text = (
        f"ARG V=3.22 BASE={name}\r\n# FROM {name}\n\nFROM docker.io/library/alpine:${{V}} AS a\n"
        f"RUN <<E\nFROM {name}\nE\nFROM \\\n  # x\n  ${{BASE}} as b\nCOPY --from={name} {name} /\n"
        f"COPY --from='{name}' a b\nFROM a\nFROM {name}@{DIGEST}\n  FROM {name}"
    )
    expected = (
        f"ARG V=3.22 BASE={name}\r\n# FROM {name}\n\nFROM {name}@{DIGEST} AS a\n"
        f"RUN <<E\nFROM {name}\nE\nFROM \\\n  # x\n  {name}@{DIGEST} as b\n"
        f"COPY --from={name}@{DIGEST} {name} /\n"
        f"COPY --from='{name}@{DIGEST}' a b\nFROM a\nFROM {name}@{DIGEST}\n  FROM {name}@{DIGEST}\n"
    )
    assert awk(command, "pin", text, tmp_path) == expected


@pytest.mark.parametrize("command", AWKS, ids=" ".join)
def test_a_file_without_a_digest_to_add_stays_as_it_is(tmp_path: Path, command: list[str]) -> None:
    assert awk(command, "pin", DOCKERFILE, tmp_path) == DOCKERFILE
    for text, expected in CORPUS.values():
        if not expected.startswith("error"):
            whole = text if text.endswith("\n") else text + "\n"
            assert awk(command, "pin", text, tmp_path) == whole


# Files that nobody thought of

NAMES = st.sampled_from(["A", "B", "C_IMAGE", "_D"])
PLAIN = st.sampled_from(["", "x", "a.io/b:1", "13", "v1.2", "-", "a b"])
WORDS = st.recursive(
    PLAIN | NAMES.map(lambda name: f"${name}") | NAMES.map(lambda name: f"${{{name}}}"),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        inner.map(lambda text: f'"{text}"'),
        st.sampled_from(["'$A'", "\\$A", "\\", '"', "'", "${", "}", "$", "${A/./-}", "${A//x/y}"]),
        st.tuples(NAMES, st.sampled_from([":-", "-", ":+", "+", "#", "##", "%", "%%"]), inner).map(
            lambda parts: f"${{{parts[0]}{parts[1]}{parts[2]}}}"
        ),
        st.tuples(NAMES, st.sampled_from(["#*", "##*.", "%?", "%%.*", "#v"])).map(
            lambda parts: f"${{{parts[0]}{parts[1]}}}"
        ),
    ),
    max_leaves=5,
)
ARGUMENTS = st.tuples(NAMES, WORDS).map(lambda pair: f"ARG {pair[0]}={pair[1]}") | NAMES.map(
    lambda name: f"ARG {name}"
)
STEPS = st.one_of(
    WORDS.map(lambda word: f"COPY {word or '.'} x"),
    st.tuples(NAMES, WORDS).map(lambda pair: f"ENV {pair[0]}={pair[1] or 1}"),
    ARGUMENTS,
    st.sampled_from(
        ["COPY --from=s a b", "COPY --from=a.io/c:2 a b", "RUN <<E\nFROM q\nE", "RUN x \\\n y"]
    ),
)
BASES = WORDS.filter(lambda word: " " not in word and word)
STAGES = st.lists(st.tuples(BASES, st.lists(STEPS, max_size=4)), min_size=1, max_size=3)


@st.composite
def files(draw: st.DrawFn) -> str:
    lines = draw(st.lists(ARGUMENTS, max_size=4))
    for base, steps in draw(STAGES):
        lines += [f"FROM {base} AS s", *steps]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("command", AWKS, ids=" ".join)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=files())
def test_any_file_is_read_alike(tmp_path: Path, command: list[str], text: str) -> None:
    assert awk(command, "list", text, tmp_path) == bases(text)
    assert awk(command, "inputs", text, tmp_path, CI_IMAGE) == inputs(text)
