"""What the image checks must not get wrong: layouts, layers, and real programs."""

from __future__ import annotations

import random
import shutil
import sys
import time
from pathlib import Path

import pytest
from conformance_images import (
    BASH,
    BUSYBOX,
    BUSYBOX_TEXT,
    CERTIFICATE,
    DASH,
    JAVA,
    NODE,
    PRIVATE_KEY,
    PYTHON,
    Item,
    Spec,
    directory,
    docker_archive,
    elf,
    file,
    go_program,
    hardlink,
    java_keystore,
    opaque,
    program,
    release,
    symlink,
    twin,
    whiteout,
    zipped,
)
from conformance_tool import TEMPLATE, Answer, run


def check(tmp_path: Path, spec: Spec, language: str = "go") -> Answer:
    path = docker_archive(tmp_path / "image.tar", spec)
    return run("image", path, "--language", language, "--format", "json", "--repo", tmp_path)


def findings(answer: Answer, check_id: str) -> list[str]:
    return [
        f"{item['path']}: {item['message']}"
        for item in answer.report["findings"]
        if item["check"] == check_id
    ]


# Layers


def test_whiteout_removes_what_a_lower_layer_brought(tmp_path: Path) -> None:
    spec = release().add(
        file("usr/bin/sh", BUSYBOX, 0o755), directory("opt/sh"), program("opt/sh/bash")
    )
    assert check(tmp_path, spec).ids == {"IMG-001"}
    spec.layers.append([whiteout("usr/bin/sh"), whiteout("opt/sh")])
    assert check(tmp_path, spec).ids == set()


def test_whiteout_through_a_link(tmp_path: Path) -> None:
    spec = release().add(file("usr/bin/sh", BUSYBOX, 0o755))
    spec.layers.append([whiteout("bin/sh")])
    assert check(tmp_path, spec).ids == set()


def test_whiteout_spares_its_own_layer(tmp_path: Path) -> None:
    spec = release()
    spec.layers.append([program("app/bash"), whiteout("app/bash")])
    assert check(tmp_path, spec).ids == {"IMG-001"}


def test_opaque_directory_hides_lower_layers_only(tmp_path: Path) -> None:
    spec = release().add(
        directory("opt/"), program("opt/bash"), directory("opt/a"), program("opt/a/dash")
    )
    kept = spec.copy()
    kept.layers.append([program("opt/zsh"), opaque("opt"), program("opt/fish")])
    names = findings(check(tmp_path, kept), "IMG-001")
    assert [name.partition(":")[0] for name in names] == ["/opt/fish", "/opt/zsh"]
    spec.layers.append([opaque("opt")])
    assert check(tmp_path, spec).ids == set()


def test_whiteout_of_something_that_never_was(tmp_path: Path) -> None:
    spec = release()
    spec.layers.append([whiteout("usr/none/x"), opaque("none"), whiteout("app/payments/x")])
    assert check(tmp_path, spec).ids == set()


def test_directory_replaces_a_link_and_a_link_a_directory(tmp_path: Path) -> None:
    spec = release().add(directory("opt/"), program("opt/bash"))
    spec.layers.append([symlink("opt", "/app"), directory("bin/")])
    assert check(tmp_path, spec).ids == set()


def test_shell_under_a_merged_usr_is_reported_once(tmp_path: Path) -> None:
    spec = release().add(program("bin/dash", DASH), symlink("usr/bin/sh", "dash"))
    assert findings(check(tmp_path, spec), "IMG-001") == [
        "/usr/bin/dash: dash (shell), also as /usr/bin/sh"
    ]


def test_shell_in_a_split_layout(tmp_path: Path) -> None:
    spec = release()
    spec.layers[0] = [item for item in spec.layers[0] if item.path != "bin"]
    spec.add(directory("bin/"), program("bin/dash", DASH))
    assert findings(check(tmp_path, spec), "IMG-001") == ["/bin/dash: dash (shell)"]


def test_hard_links_are_one_program_with_several_names(tmp_path: Path) -> None:
    names = ["sh", "ash", "bash", "zsh", "ksh", "fish"]
    links = [hardlink(f"opt/{name}", "opt/busybox") for name in names]
    spec = release().add(directory("opt/"), file("opt/busybox", BUSYBOX, 0o755), *links)
    assert len(findings(check(tmp_path, spec), "IMG-001")) == 1
    assert "also as" in findings(check(tmp_path, spec), "IMG-001")[0]


def test_hard_link_survives_its_first_name(tmp_path: Path) -> None:
    spec = release().add(program("opt/bash", BASH), hardlink("opt/x", "opt/bash"))
    spec.layers.append([whiteout("opt/bash")])
    assert findings(check(tmp_path, spec), "IMG-001") == ["/opt/x: bash (shell) under another name"]


def test_replaced_file_counts_as_it_is_now(tmp_path: Path) -> None:
    spec = release().add(program("app/tool", mode=0o4755))
    spec.layers.append([program("app/tool")])
    assert check(tmp_path, spec).ids == set()


def test_deleted_secret_is_still_in_its_layer(tmp_path: Path) -> None:
    spec = release().add(file("app/key.pem", PRIVATE_KEY))
    spec.layers.append([whiteout("app/key.pem")])
    assert findings(check(tmp_path, spec), "IMG-010") == [
        "/app/key.pem: a private key in layer 2, though a later layer deletes it"
    ]


# Names and content

# A program may carry scripts in it: completions, templates, test data.
SCRIPTS = b"".join(path.read_bytes() for path in sorted((TEMPLATE / "ci").glob("*.sh")))


@pytest.mark.parametrize(
    "item",
    [
        file("app/run", "#!/bin/sh\nexec /app/payments\n", 0o755),
        file("usr/share/bash/sh", "a page about shells"),
        file("app/docs/bash", "not executable"),
        symlink("usr/bin/sh", "/nowhere"),
        directory("app/sh/"),
        program("app/tool", b"/bin/sh\0-c\0/bin/bash\0busybox\0apt-get install\0python3\0"),
        program("app/tool", b"OPTIND\0only\0"),
        file("var/lib/dpkg/status.d/base-files", "Package: base-files\n"),
        file("etc/apt/sources.list.d/debian.sources", "Types: deb\n"),
        file("usr/lib/node_modules/semver/package.json", "{}"),
        directory("tmp/x/", 0o1777),
        directory("var/local/", 0o2775),
        Item("dev/null", b"3", mode=0o666),
        file("usr/share/doc/ssh/README.md", PRIVATE_KEY),
        file("usr/lib/python3/ssh.py", '_START = b"-----BEGIN OPENSSH PRIVATE KEY-----"\n'),
        file(
            "etc/ssl/certs/extra.pem",
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        ),
        file(
            "app/public.pem",
            "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEF\n-----END PUBLIC KEY-----\n",
        ),
        file("app/template.yaml", "key: |\n    -----BEGIN PRIVATE KEY-----\n    <your key>\n"),
        file("app/help.json", '{"usage": "paste -----BEGIN PRIVATE KEY-----\\n...\\n"}'),
        file("app/pem.js", "const head = '-----BEGIN PRIVATE KEY-----\\n' + body\n"),
        file("app/large.bin", bytes(100) + b"x" * (64 << 10) + b"\n" + PRIVATE_KEY),
        file("app/huge.txt", b"x\n" * (4 << 20) + PRIVATE_KEY),
        file(
            "app/node_modules/pem/test/keys.json", '["' + PRIVATE_KEY.decode().replace("\n", "\\n")
        ),
        file("app/.env.example", "DB_PASSWORD=change-me\n"),
        file("app/.env", "# nothing here\n"),
        file("app/.npmrc", "engine-strict=true\n//r.example.com/:_authToken=${NPM_TOKEN}\n"),
        file("app/config.json", '{"auth": "none"}'),
        file("app/settings.xml", "<settings><password>${env.PASSWORD}</password></settings>"),
        file("etc/pip.conf", "[global]\nindex-url = https://pypi.example.com/simple\n"),
        file("app/lib/python3.13/site-packages/twisted/test/server.pem", PRIVATE_KEY),
        file("app/node_modules/public-encrypt/test/rsa.1024.priv", PRIVATE_KEY),
        file("app/node_modules/semver/bin/semver.js", "#!/usr/bin/env node\n", 0o755),
        file("app/bin/uvicorn", "#!/app/bin/python\nfrom uvicorn import main\n", 0o755),
        file("app/truststore.jks", java_keystore("certificate", "certificate")),
        file("app/truststore.p12", b"\x30\x82\x04\x00" + bytes(64)),
        program("opt/java/lib/jspawnhelper", b"This command is not for general use"),
        symlink("opt/java/legal/java.sql/LICENSE", "../java.base/LICENSE"),
        program("app/with-testdata", SCRIPTS),
        program("app/linter", b"FROM fedora\0dnf\0libdnf\0microdnf install\0"),
    ],
    ids=lambda item: item.path,
)
def test_harmless(tmp_path: Path, item: Item) -> None:
    assert check(tmp_path, release().add(item)).ids == set()


KEY_TEXT = PRIVATE_KEY.decode()
ESCAPED = KEY_TEXT.replace("\n", "\\n")
HEADERS = "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n"


@pytest.mark.parametrize(
    "item",
    [
        file("app/values.yaml", "tls:\n  key: |\n    " + KEY_TEXT.replace("\n", "\n    ")),
        file("app/tabs.yaml", "\t" + KEY_TEXT.replace("\n", "\n\t")),
        file("app/account.json", f'{{"key": "{ESCAPED}"}}'),
        file("app/keys.json", f'["a",\n  "{ESCAPED}"]'),
        file("app/windows.json", '{"key": "' + KEY_TEXT.replace("\n", "\\r\\n") + '"}'),
        file("app/key.toml", f'key = """{KEY_TEXT}"""\n'),
        file("app/settings.sh", f"export KEY='{KEY_TEXT}'\n"),
        file("app/windows.pem", KEY_TEXT.replace("\n", "\r\n")),
        file("app/old.pem", KEY_TEXT.replace("-----\n", HEADERS, 1)),
        file("app/old.json", f'["{ESCAPED}"]'.replace("-----\\n", HEADERS.replace("\n", "\\n"), 1)),
        file("app/seed.sql", "-- seed\n" * 10_000 + KEY_TEXT),
        file("app/edge.txt", "x" * ((64 << 10) - 12) + "\n" + KEY_TEXT),
        file("app/last.txt", "x\n" * ((4 << 20) - 200 >> 1) + KEY_TEXT),
    ],
    ids=lambda item: item.path,
)
def test_private_keys_in_other_files(tmp_path: Path, item: Item) -> None:
    answer = check(tmp_path, release().add(item))
    assert findings(answer, "IMG-010") == [f"/{item.path}: a private key"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("app/.env", "\n" * 65_000),
        ("app/.env.local", " \n" * 32_000),
        ("app/.pypirc", "\n" * 65_000),
        ("app/credentials.toml", "\n" * 65_000),
        ("app/kubeconfig", "kind: Config" + "\n" * 65_000),
        ("app/config.json", '"auths":{' * 7_000),
        ("app/a.txt", "-----BEGIN PRIVATE KEY-----\n" + "\n" * (4 << 20)),
        ("app/b.txt", "-----BEGIN PRIVATE KEY-----\nA: " * 50_000),
        ("app/c.txt", "-----BEGIN PRIVATE KEY-----\\nA: " * 50_000),
        ("app/d.txt", "PRIVATE KEY" + " " * (4 << 20)),
        ("app/e.txt", "-----BEGIN " + "A " * (2 << 20) + "PRIVATE KEY"),
    ],
)
def test_no_text_takes_long(tmp_path: Path, path: str, text: str) -> None:
    started = time.process_time()
    assert check(tmp_path, release().add(file(path, text))).ids == set()
    assert time.process_time() - started < 5


def test_no_history_takes_long(tmp_path: Path) -> None:
    spec = release()
    spec.history.append({"created_by": "RUN " + "a." * 100_000})
    started = time.process_time()
    assert check(tmp_path, spec).ids == set()
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "entry",
    [
        "DB_PASSWORD_FILE=/run/secrets/db",
        "TOKEN_URL=https://login.example.com/token",
        "TOKENIZERS_PARALLELISM=false",
        "API_KEY=",
        "GPG_KEY=7169605F62C751356D054A26A821E680E5FA6305",
        "JAVA_TOOL_OPTIONS=-Xmx64m",
        "PASSWORD=${PASSWORD}",
        "PROXY=http://proxy.example.com:3128",
        "TOKEN_ISSUER=https://login.example.com",
        "ACCESS_TOKEN_LIFETIME=15m",
        "SECRETS_BACKEND=vault",
        "PASSWORD_ENCODER=bcrypt",
        "API_KEY_ID=payments-2026",
    ],
)
def test_harmless_variables(tmp_path: Path, entry: str) -> None:
    spec = release()
    spec.config["Env"].append(entry)
    spec.history.append({"created_by": f"ENV {entry}"})
    assert check(tmp_path, spec).ids == set()


@pytest.mark.parametrize("name", ["fish", "node", "go", "apk", "nu", "python"])
def test_a_service_may_have_any_name(tmp_path: Path, name: str) -> None:
    spec = release()
    spec.layers[1] = [directory("app/"), program(f"app/{name}")]
    spec.config["Entrypoint"] = [f"/app/{name}"]
    spec.config["Healthcheck"] = {"Test": ["CMD", f"/app/{name}", "healthcheck"]}
    assert check(tmp_path, spec).ids == set()


def test_a_service_that_is_a_shell(tmp_path: Path) -> None:
    spec = release()
    spec.layers[1] = [directory("app/"), program("app/payments", BASH)]
    assert check(tmp_path, spec).ids == {"IMG-001"}


@pytest.mark.parametrize(
    ("language", "items", "expected"),
    [
        (
            "python",
            [
                program("usr/bin/python3.13", PYTHON),
                symlink("usr/bin/python", "python3.13"),
            ],
            set(),
        ),
        ("python", [program("nodejs/bin/node", NODE)], {"IMG-003"}),
        ("python", [file("app/.venv/bin/pip", "#!/app/.venv/bin/python\n", 0o755)], {"IMG-002"}),
        ("node", [program("nodejs/bin/node", NODE)], set()),
        ("node", [file("nodejs/bin/npm", "#!/usr/bin/env node\n", 0o755)], {"IMG-002"}),
        (
            "java",
            [
                program("opt/java/bin/java", JAVA),
                file("opt/java/lib/libjli.so", elf(JAVA)),
            ],
            set(),
        ),
        ("java", [program("opt/java/bin/keytool", JAVA)], set()),
        (
            "java",
            [program("opt/java/bin/javac", JAVA + b"com.sun.tools.javac.Main")],
            {"IMG-003"},
        ),
        ("java", [program("opt/java/bin/x", JAVA + b"jdk.internal.jshell.tool")], {"IMG-003"}),
        ("java", [file("opt/java/release", 'MODULES="java.base jdk.jshell"\n')], {"IMG-003"}),
        ("java", [file("opt/java/release", 'MODULES="java.base java.sql"\n')], set()),
        ("go", [program("opt/java/bin/java", JAVA)], {"IMG-003"}),
        ("rust", [program("usr/bin/python3.13", PYTHON)], {"IMG-003"}),
    ],
)
def test_own_runtime(tmp_path: Path, language: str, items: list[Item], expected: set[str]) -> None:
    assert check(tmp_path, release().add(*items), language).ids == expected


def test_java_may_bring_its_own_certificates(tmp_path: Path) -> None:
    spec = release().add(file("opt/java/lib/security/cacerts", "truststore"))
    spec.layers.append([whiteout("etc/ssl/certs/ca-certificates.crt")])
    assert check(tmp_path, spec, "java").ids == set()
    assert check(tmp_path, spec, "go").ids == {"IMG-009"}


REAL = {
    "node": ("node", "node"),
    "python3": ("python", "python"),
    "java": ("java", "java"),
    "git": (None, "go"),
    "dash": ("shell", "go"),
    "bash": ("shell", "go"),
}


@pytest.mark.parametrize("name", REAL)
def test_real_programs_under_another_name(tmp_path: Path, name: str) -> None:
    found = shutil.which(name, path="/usr/bin:/bin:/usr/local/bin")
    if found is None:
        pytest.skip(f"{name} is not installed here")
    kind, language = REAL[name]
    data = Path(found).resolve().read_bytes()
    answer = check(tmp_path, release().add(file("app/x", data, 0o755)), language)
    assert answer.ids == ({"IMG-001"} if kind == "shell" else set())
    if kind not in (None, "shell"):
        assert check(tmp_path, release().add(file("app/x", data, 0o755)), "go").ids == {"IMG-003"}


def test_a_real_go_program_is_nothing_else(tmp_path: Path) -> None:
    tools = Path("/usr/local/go/bin")
    if not tools.is_dir():
        pytest.skip("the Go toolchain is not at /usr/local/go")
    for name, expected in (("gofmt", set()), ("go", {"IMG-003"})):
        data = (tools / name).read_bytes()
        assert check(tmp_path, release().add(file("app/x", data, 0o755))).ids == expected


def test_shellcheck_is_no_shell(tmp_path: Path) -> None:
    """It has the names of every shell's variables and options in it."""
    found = Path(sys.executable).parent / "shellcheck"
    spec = release()
    spec.layers[1][1].data = found.read_bytes()
    assert check(tmp_path, spec).ids <= {"IMG-007"}  # for its loader


def test_signature_across_a_window(tmp_path: Path) -> None:
    from conformance.content import WINDOW

    data = elf(bytes(WINDOW - 200) + BASH + bytes(1 << 20))
    assert check(tmp_path, release().add(file("app/x", data, 0o755))).ids == {"IMG-001"}


# Start command


def test_start_command_through_links_and_path(tmp_path: Path) -> None:
    spec = release().add(directory("app/current/"), symlink("app/current/run", "../payments"))
    spec.layers[1].append(symlink("usr/local", "/app/current"))
    for start in ("/app/current/run", "current/run", "./payments"):
        spec.config.update(Entrypoint=[start], WorkingDir="/app")
        assert check(tmp_path, spec).ids == set(), start
    spec.config.update(Entrypoint=["run"], Env=["PATH=/none:/app/current"], Healthcheck=None)
    assert check(tmp_path, spec).ids == set()


def test_a_script_as_start_command(tmp_path: Path) -> None:
    """Copied in by mistake it is dead weight; started, it is a container that does not start."""
    spec = release().add(file("app/run.sh", "#!/bin/sh\nexec /app/payments\n", 0o755))
    assert check(tmp_path, spec).ids == set()
    spec.config["Entrypoint"] = ["/app/run.sh"]
    (finding,) = check(tmp_path, spec).report["findings"]
    assert (finding["check"], finding["message"], finding["fix"]) == (
        "IMG-007",
        "the start command needs /bin/sh, which is not in the image",
        "start the program itself, without a script around it",
    )


@pytest.mark.parametrize(
    ("shebang", "expected"),
    [("#!/app/bin/python", set()), ("#!/usr/bin/env python3", {"IMG-007"})],
)
def test_a_console_script_as_start_command(
    tmp_path: Path, shebang: str, expected: set[str]
) -> None:
    python = [
        program("usr/bin/python3.13", PYTHON),
        directory("app/bin/"),
        symlink("app/bin/python", "/usr/bin/python3.13"),
        file("app/bin/payments", f"{shebang}\nimport payments\n", 0o755),
    ]
    spec = release().add(*python)
    spec.config.update(Entrypoint=["/app/bin/payments"], Healthcheck=None)
    assert check(tmp_path, spec, "python").ids == expected


def test_dynamic_program_with_its_loader(tmp_path: Path) -> None:
    spec = release()
    spec.layers[1][1].data = elf(interpreter="/lib64/ld-linux.so.2")
    assert findings(check(tmp_path, spec), "IMG-007") == [
        "/app/payments: the start command needs /lib64/ld-linux.so.2, which is not in the image"
    ]
    spec.layers[0] += [symlink("lib64", "usr/lib64"), program("usr/lib64/ld-linux.so.2")]
    assert check(tmp_path, spec).ids == set()


def test_empty_labels_count_when_strict(tmp_path: Path) -> None:
    spec = release()
    spec.config["Labels"]["org.opencontainers.image.base.digest"] = ""
    path = docker_archive(tmp_path / "i.tar", spec)
    assert run("image", path, "--language", "go").code == 0
    strict = run("image", path, "--language", "go", "--strict", "--format", "json")
    assert strict.ids == {"IMG-012"}


# Twin


def test_twin_of_kaniko_lists_unchanged_parents(tmp_path: Path) -> None:
    spec = twin()
    spec.layers[2][:0] = [directory("/"), directory("app/"), directory("etc/")]
    paths = [docker_archive(tmp_path / "d", spec), docker_archive(tmp_path / "r", release())]
    answer = run("image", paths[0], "--twin", paths[1], "--language", "go")
    assert answer.code == 0, answer.out


def test_twin_of_an_image_without_path(tmp_path: Path) -> None:
    of = release()
    of.config["Env"] = ["SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"]
    for path in (
        "PATH=:/busybox",
        "PATH=/busybox",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/busybox",
    ):
        spec = twin(of)
        spec.config["Env"].append(path)
        paths = [docker_archive(tmp_path / "d", spec), docker_archive(tmp_path / "r", of)]
        answer = run("image", paths[0], "--twin", paths[1], "--language", "go")
        assert answer.code == 0, answer.out


def test_a_shell_elsewhere_in_the_debug_image(tmp_path: Path) -> None:
    of = release().add(program("app/sh"))
    paths = [docker_archive(tmp_path / "d", twin(of)), docker_archive(tmp_path / "r", of)]
    answer = run("image", paths[0], "--twin", paths[1], "--language", "go", "--format", "json")
    assert answer.ids == {"IMG-001"}


# One telling string is a hint, two of different kinds are a finding


SPEAKING = [
    b"apk-tools ",
    b"PERL5DB",
    b"LUA_INIT",
    b"DENO_DIR",
    b"UV_PYTHON_INSTALL_DIR",
    b"OPTIND\0noglob\0PS4",
    b"GNU bash, version ",
    b"BusyBox is a multi-call binary",
    b"AWKPATH\0Usage: mawk ",
    b"GCC_EXEC_PREFIX\0COLLECT_GCC_OPTIONS",
    b"JLI_Launch",
    b"src.elv.sh/pkg/shell\0mvdan.cc/sh/v3/cmd/gosh\0path\tmvdan.cc/sh/v3/cmd/gosh\n",
]


@pytest.mark.parametrize("text", SPEAKING)
def test_a_program_that_speaks_of_another_is_not_that(tmp_path: Path, text: bytes) -> None:
    assert check(tmp_path, release().add(program("app/tool", text))).ids == set()


def test_all_hints_together_are_no_proof(tmp_path: Path) -> None:
    assert check(tmp_path, release().add(program("app/tool", b"\0".join(SPEAKING)))).ids == set()


@pytest.mark.parametrize(
    ("main", "expected"),
    [
        ("mvdan.cc/sh/v3/cmd/gosh", {"IMG-001"}),
        ("github.com/u-root/u-root/cmds/core/gosh", {"IMG-001"}),
        ("src.elv.sh/cmd/elvish", {"IMG-001"}),
        ("github.com/traefik/yaegi/cmd/yaegi", {"IMG-003"}),
        ("github.com/d5/tengo/v2/cmd/tengo", {"IMG-003"}),
        ("github.com/dop251/goja/goja", {"IMG-003"}),
        ("github.com/benhoyt/goawk", {"IMG-003"}),
        ("cmd/compile", {"IMG-003"}),
        ("mvdan.cc/sh/v3/cmd/shfmt", set()),
        ("example.com/payments/cmd/payments", set()),
    ],
)
def test_a_go_program_is_what_it_was_built_from(
    tmp_path: Path, main: str, expected: set[str]
) -> None:
    assert check(tmp_path, release().add(program("app/helper", go_program(main)))).ids == expected


OTHERS: dict[str, tuple[bytes, str]] = {
    "rc": (b"$Release: @(#)rc 1.7 $\0unknown node in walk", "IMG-001"),
    "es": (b"usage: es [-c command] [-sil]\0uncaught exception: %L\n", "IMG-001"),
    "awk": (b"can't happen: bad conversion %c in format()\0usage: %s [-F fs][-v x]", "IMG-003"),
    "expect": (b"Expect_Init\0libexpect.so.5", "IMG-003"),
    "duktape": (b"Usage: duk [options] [<filenames>]\0[ecmascript code]", "IMG-003"),
    "gforth": (b"GFORTHPATH\0Print engine version and exit", "IMG-003"),
    "gcc": (b"GCC_EXEC_PREFIX\0Using built-in specs", "IMG-003"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_programs_that_few_know(tmp_path: Path, name: str) -> None:
    text, expected = OTHERS[name]
    assert check(tmp_path, release().add(program("app/helper", text))).ids == {expected}


def test_a_hint_and_its_proof_may_be_far_apart(tmp_path: Path) -> None:
    from conformance.content import SHELL_SIZE, WINDOW

    for hint, gap, proof in (
        (b"GNU bash, version 5", 2 * WINDOW, b"ambiguous redirect"),
        (b"ambiguous redirect", 2 * WINDOW, b"GNU bash, version 5"),
    ):
        data = elf(hint + bytes(gap) + proof + bytes(1 << 20))
        assert check(tmp_path, release().add(file("app/x", data, 0o755))).ids == {"IMG-001"}
    far = elf(b"_ZN4node5Start" + bytes(SHELL_SIZE + WINDOW) + b"NODE_OPTIONS" + bytes(1 << 20))
    assert check(tmp_path, release().add(file("app/x", far, 0o755))).ids == {"IMG-003"}


# Archives


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("stored", [False, True])
def test_a_shell_in_a_jar(tmp_path: Path, stream: bool, stored: bool) -> None:
    members = {
        "META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\n",
        "com/example/Main.class": b"\xca\xfe\xba\xbe" + bytes(40_000),
        "native/linux/helper": elf(bytes(70_000) + BUSYBOX_TEXT),
    }
    jar = zipped(members, stream, stored)
    if stream and stored:
        jar = zipped(members, stream)  # the length of a stored member must be known
    spec = release().add(file("app/app.jar", jar))
    assert findings(check(tmp_path, spec, "java"), "IMG-001") == [
        "/app/app.jar: busybox in its native/linux/helper (shell)"
    ]


def test_a_shell_in_a_jar_in_a_jar(tmp_path: Path) -> None:
    inner = zipped({"bin/x": elf(DASH)})
    jar = zipped({"a.txt": b"a", "BOOT-INF/lib/inner.jar": inner}, stored=True)
    spec = release().add(file("app/app.jar", jar), file("app/x.zip", b"#!/usr/bin/env x\n" + inner))
    assert findings(check(tmp_path, spec, "java"), "IMG-001") == [
        "/app/app.jar: dash in its bin/x (shell)",
        "/app/x.zip: dash in its bin/x (shell)",
    ]


@pytest.mark.parametrize("stream", [False, True])
def test_a_jar_of_a_service(tmp_path: Path, stream: bool) -> None:
    members = {"lib/libx.so": elf(b"strings of a library"), "run.sh": b"#!/bin/sh\n", "a/": b""}
    jar = zipped({**members, "lib/deep.jar": zipped({"x.class": bytes(9)}, stream)}, stream)
    assert check(tmp_path, release().add(file("app/app.jar", jar)), "java").ids == set()


@pytest.mark.parametrize("end", [4, 40, 200, 2000, -30])
def test_a_jar_that_is_cut_off(tmp_path: Path, end: int) -> None:
    jar = zipped({"a": bytes(range(256)) * 40, "b": elf(b"x")}, stream=True)[:end]
    assert check(tmp_path, release().add(file("app/app.jar", jar)), "java").ids == set()


def test_a_jar_that_unpacks_to_too_much(tmp_path: Path) -> None:
    jar = zipped({f"{number}": elf(bytes(8 << 20)) for number in range(8)})
    path = docker_archive(tmp_path / "i.tar", release().add(file("app/app.jar", jar)))
    answer = run("image", path, "--language", "java", "--max-bytes", str(32 << 20))
    assert answer.code == 2
    assert "unpacks to more than" in answer.err


def test_archives_take_no_long_time(tmp_path: Path) -> None:
    """A fat jar of 60 MB, and one of 400 small ones: within the time of an image check."""
    noise = random.Random(1).randbytes(1 << 20)
    inner = zipped({f"C{number}.class": noise[number : number + 9_000] for number in range(100)})
    fat = {f"BOOT-INF/lib/{number}.jar": inner for number in range(60)}
    spec = release().add(
        file("app/app.jar", zipped(fat, stored=True)),
        *(file(f"app/lib/{number}.jar", zipped({"x": b"y" * 500})) for number in range(400)),
    )
    started = time.process_time()
    assert check(tmp_path, spec, "java").ids == set()
    assert time.process_time() - started < 4


# Links, certificates, owners


def test_a_link_out_of_the_root_ends_at_the_root(tmp_path: Path) -> None:
    """As the kernel follows it: .. of the root is the root."""
    spec = release().add(
        symlink("data", "../../../etc"),
        symlink("app/run", "../../../../app/payments"),
        symlink("app/out", "a/../../../x"),
    )
    spec.config["Entrypoint"] = ["/app/run"]
    assert check(tmp_path, spec).ids == set()
    spec.config["Entrypoint"] = ["/data/passwd"]
    assert check(tmp_path, spec).ids == {"IMG-007"}
    spec.layers.append([file("data/shadow", "x"), whiteout("data/ssl")])
    assert "IMG-009" in check(tmp_path, spec).ids


@pytest.mark.parametrize(
    ("environment", "path", "expected"),
    [
        ([], "etc/ssl/certs/4a6481c9.0", set()),
        ([], "etc/ssl/certs/ISRG_Root_X1.pem", set()),
        ([], "etc/pki/tls/certs/x.pem", set()),
        ([], "etc/certs/x.pem", {"IMG-009"}),
        (["SSL_CERT_DIR=/none:/etc/certs"], "etc/certs/x.pem", set()),
        (["SSL_CERT_DIR=/none"], "etc/ssl/certs/x.pem", {"IMG-009"}),
        (["SSL_CERT_FILE=/none"], "etc/ssl/certs/x.pem", {"IMG-009"}),
        (["SSL_CERT_FILE=/none", "SSL_CERT_DIR=/etc/certs"], "etc/certs/x.pem", set()),
    ],
)
def test_certificates_as_single_files(
    tmp_path: Path, environment: list[str], path: str, expected: set[str]
) -> None:
    spec = release()
    spec.config["Env"] = ["PATH=/usr/bin", *environment]
    spec.layers[0] = [item for item in spec.layers[0] if "ca-certificates" not in item.path]
    spec.add(file(path, CERTIFICATE))
    assert check(tmp_path, spec).ids == expected


def test_a_link_to_a_certificate_counts(tmp_path: Path) -> None:
    spec = release()
    spec.config["Env"] = []
    spec.layers[0] = [item for item in spec.layers[0] if "ca-certificates" not in item.path]
    spec.add(
        file("usr/share/ca/x.crt", CERTIFICATE), symlink("etc/ssl/certs/1.0", "/usr/share/ca/x.crt")
    )
    assert check(tmp_path, spec).ids == set()


@pytest.mark.parametrize(
    ("item", "owned"),
    [
        (file("app/lib/a.py", uid=65532), True),
        (file("srv/x", uid=65532, mode=0o444), True),
        (file("app/x", uid=65533), False),
        (file("home/nonroot/.config", uid=65532), False),
        (file("nonexistent/x", uid=65532), False),
        (file("tmp/x", uid=65532), False),
        (file("var/cache/x", uid=65532), False),
        (directory("data", uid=65532), False),
    ],
)
def test_what_the_services_user_owns(tmp_path: Path, item: Item, owned: bool) -> None:
    spec = release()
    spec.layers[0][3].data = b"nonroot:x:65532:65532:nonroot:/nonexistent:/sbin/nologin\n"
    answer = check(tmp_path, spec.add(item))
    assert answer.ids == ({"IMG-006"} if owned else set())


def test_many_files_of_the_services_user_are_one_finding(tmp_path: Path) -> None:
    spec = release()
    for item in spec.layers[1]:
        item.uid = 65532
    spec.add(*(file(f"app/lib/{number}.py", uid=65532) for number in range(9)))
    assert findings(check(tmp_path, spec), "IMG-006") == [
        "/app/payments: the image's user (65532) owns this file, and 9 more, and can change it"
    ]
