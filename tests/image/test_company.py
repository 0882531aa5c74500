"""Inside a company network: a private authority, a proxy, indexes that ask for a password.

The public registries are out of reach, as tests/lab/company.py has it. One language in each
run, all of them at night.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from copier import run_copy
from services import LANGUAGES, Service

from houses import house, make_house
from lab import Image, Lab, LabError, builders
from lab.company import DEBIAN, INDEXES, MIRROR, PACKAGES, Company, certificates, company
from lab.system import run
from rendering import NIGHTLY, ROOT, commit_all

DOCKERFILE = "ci/image/Dockerfile"
# What is said where an index wants a password and gets none, by us and by the package manager.
NO_LOGIN = 'packages.sh: the secret "packages" has no login for packages.acme.test'
ASKED = {
    "go": "401 Unauthorized",
    "rust": "no token found",
    "java": "[Ff]ailed to fetch",
    "python": "No matching distribution found",
    "node": "E401",
}


@pytest.fixture(scope="module")
def network(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with company(tmp_path_factory.mktemp("company"), registry_of(lab)) as made:
        yield made


def registry_of(lab: Lab) -> str:
    """Where the mirror finds the base images, under their names without the host."""
    wanted = {
        base[key]
        for base in json.loads((ROOT / "partials/house.json").read_text())["bases"]
        for key in ("builder", "release")
        if base["name"] == "distroless" and (NIGHTLY or base["language"] == "python")
    }
    if lab.real:
        for name in sorted(wanted):
            target = f"docker://{lab.registry.address}/{'/'.join(name.split('/')[1:])}"
            command = ["skopeo", "copy", f"docker://{name}", target, "--dest-tls-verify=false"]
            run(command, what=f"skopeo copy of {name}")
    lab.bases_for(sorted(wanted))
    return lab.registry.address


@pytest.fixture(scope="module")
def template(network: Company, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template of a house that has said once how its network is."""
    template = make_house(tmp_path_factory.mktemp("house") / "template")
    (template / "house").mkdir()
    shutil.copy(network.authority, template / "house/authority.pem")
    values = {
        "name": "Acme",
        "mirrors": dict.fromkeys(builders.HOSTS, network.mirror),
        "indexes": INDEXES,
        "proxy": network.proxy,
        "no_proxy": ["inside.acme.test"],
    }
    (template / "house/house.yml").write_text(yaml.safe_dump(values))
    done = house(template)
    assert done.returncode == 0, done.stderr
    subprocess.run([sys.executable, ROOT / "scripts/lock.py", "--root", template], check=True)
    commit_all(template, "Say how the network is")
    return template


@pytest.fixture(scope="module", params=list(LANGUAGES) if NIGHTLY else ["python"])
def service(
    request: pytest.FixtureRequest,
    lab: Lab,
    template: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Service:
    answers = LANGUAGES[request.param]
    place = tmp_path_factory.mktemp(request.param) / "payments"
    run_copy(str(template), place, data=answers, defaults=True, quiet=True, vcs_ref="HEAD")
    return Service(lab, place, answers)


def ci_image(service: Service, netrc: Path | None, directory: Path | None = None) -> Image:
    secrets = {"packages": netrc} if netrc else {}
    return service.lab.build(
        directory or service.directory, dockerfile=DOCKERFILE, packed=False, secret_files=secrets
    )


@contextlib.contextmanager
def command_lines(found: set[str], words: tuple[str, ...]) -> Iterator[None]:
    """Collect the command lines of all processes that have one of these words."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.05):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    line = path.read_text(errors="replace")
                    found.update(line for word in words if word in line)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def where(archive: Path, words: tuple[str, ...]) -> list[str]:
    """Which layer of an image has one of the words, or its configuration."""
    found = []
    with tarfile.open(archive) as tar:
        for blob in filter(tarfile.TarInfo.isfile, tar):
            with contextlib.ExitStack() as stack:
                opened = tar.extractfile(blob)
                assert opened
                packed = opened.read(2) == b"\x1f\x8b"
                opened.seek(0)
                content = stack.enter_context(gzip.open(opened)) if packed else opened
                before = b""
                while piece := content.read(1 << 22):
                    found += [blob.name for word in words if word.encode() in before + piece]
                    before = piece[-200:]
    return found


def test_the_images_are_built_from_what_the_house_says(
    service: Service, network: Company, tmp_path: Path
) -> None:
    lab, planted = service.lab, (network.password, network.basic)
    lines: set[str] = set()
    with lab.cold(network), command_lines(lines, planted):
        # Without the authority nothing of the network is believed.
        untrusting = tmp_path / "untrusting"
        shutil.copytree(service.directory, untrusting, symlinks=True)
        certificates(tmp_path)
        shutil.copy(tmp_path / "authority.pem", untrusting / "ci/house/authority.pem")
        with pytest.raises(LabError, match=r"debian\.acme\.test/.*[Cc]ertificate"):
            ci_image(service, network.netrc(DEBIAN, PACKAGES), untrusting)
        # Without the password for packages that is said.
        with pytest.raises(LabError, match=f"{NO_LOGIN}(.|\\n)*{ASKED[service.language]}"):
            ci_image(service, network.netrc(DEBIAN))
        image = ci_image(service, network.netrc(DEBIAN, PACKAGES))
        release = service.build(
            "release", {"BUILDER_IMAGE": "ci-image"}, images={"ci-image": image}
        )
        said = lab.said
    assert {line.partition("/")[0] for line in network.asked} == {MIRROR, DEBIAN, PACKAGES}
    assert not network.refused
    assert service.findings(release) == []
    for made in (image, release):
        assert where(made.oci_archive, planted) == []
    assert "[internal] load build definition" in said
    assert not [word for word in planted if word in said]
    assert not lines


LEAKS = """\
FROM docker.io/library/python:3.13-slim-trixie
RUN --mount=type=secret,id=packages cp /run/secrets/packages /kept \\
 && cat /kept && sh -c 'sleep 1' "$(cat /kept)"
RUN rm /kept
"""


def test_what_leaks_is_seen(lab: Lab, network: Company, tmp_path: Path) -> None:
    """In a layer that a later one hides, in the log, and on a command line."""
    (tmp_path / "Dockerfile").write_text(LEAKS)
    planted, lines = (network.password,), set[str]()
    netrc = {"packages": network.netrc(PACKAGES)}
    with lab.cold(), command_lines(lines, planted):
        image = lab.build(tmp_path, secret_files=netrc)
        assert network.password in lab.said
    assert where(image.oci_archive, planted)
    assert lines


@pytest.mark.skipif(not NIGHTLY, reason="nightly: a whole CI image once more")
@pytest.mark.parametrize("service", ["go"], indirect=True)
def test_kaniko_builds_it_as_the_job_does(
    service: Service, network: Company, kaniko: str, tmp_path: Path
) -> None:
    """The flags of ci/pipeline/build.sh, and what ci/house/jobs.sh tells every job."""
    script = (
        f'cd {service.directory}; PWD=/workspace; . ci/house/jobs.sh; printf "%s\\n" '
        '"$REGISTRY_MAP" "$HTTPS_PROXY" "$SSL_CERT_DIR"'
    )
    env = {"PATH": os.environ["PATH"], "SSL_CERT_DIR": "/kaniko/ssl/certs"}
    told = run(
        ["env", "-i", *(f"{k}={v}" for k, v in env.items()), "sh", "-euc", script], what="sh"
    )
    mirrors, proxy, trusted = told.splitlines()
    out = tmp_path / "out"
    out.mkdir()
    shutil.copy(network.netrc(DEBIAN, PACKAGES), out / "netrc")
    flags = [
        f"--registry-map={mirrors};index.{mirrors}", "--skip-default-registry-fallback",
        "--secret=id=packages,src=/kaniko/out/netrc", f"--dockerfile={DOCKERFILE}",
        "--no-push", "--oci-layout-path=/kaniko/out/layout",
    ]  # fmt: skip
    said = service.lab.kaniko.run(
        service.directory, flags, out, "Kaniko", {"HTTPS_PROXY": proxy, "SSL_CERT_DIR": trusted},
        company=network,
    )  # fmt: skip
    planted = (network.password, network.basic)
    assert not [word for word in planted if word in said]
    archive = tmp_path / "image.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(out / "layout", arcname=".")
    assert where(archive, planted) == []
    assert not network.refused
