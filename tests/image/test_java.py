"""The Java image: its runtime has the modules in use, and a change moves a small layer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from services import Service

from lab import Image, Lab
from rendering import COMBINATIONS, Render

GREETING = "src/main/java/com/example/payments/greeting/GreetingController.java"
ONE_MEGABYTE = 1_000_000


@pytest.fixture
def service(lab: Lab, scaffold: Render) -> Service:
    """The image tests' service in a directory that may change, so that most layers are there."""
    answers = COMBINATIONS["java-distroless"]
    return Service(lab, scaffold(**answers), answers)


def moved(before: Image, after: Image) -> int:
    """Bytes that a node with the old image downloads for the new one."""
    return sum(
        layer["size"] for layer in after.manifest["layers"] if layer["digest"] not in before.layers
    )


def modules(image: Image) -> set[str]:
    release = image.read("/opt/java/release").decode()
    found = re.search(r'^MODULES="([^"]*)"$', release, re.MULTILINE)
    assert found, release
    return set(found[1].split())


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, path
    path.write_text(text.replace(before, after), encoding="utf-8")


def test_a_changed_class_moves_a_small_layer(service: Service) -> None:
    before = service.release
    edit(service.directory / GREETING, '"Hello, "', '"Good day, "')
    after = service.build("release")
    assert 0 < moved(before, after) < ONE_MEGABYTE
    assert len(set(after.layers) - set(before.layers)) == 1


def test_one_layer_for_all_would_move_more(service: Service) -> None:
    """The measurement above can fail."""
    path = service.directory / "image/Dockerfile"
    edit(path, "COPY --from=builder /out/dependencies/ /app/\n", "")
    edit(path, "/out/application/ /app/", "/out/dependencies/ /out/application/ /app/")
    before = service.release
    edit(service.directory / GREETING, '"Hello, "', '"Good day, "')
    assert moved(before, service.build("release")) > ONE_MEGABYTE


def test_the_runtime_has_the_modules_in_use(service: Service) -> None:
    """A module that nothing used is linked as soon as the service uses it."""
    before = modules(service.release)
    # Without the last but one German and French are formatted as English.
    assert {"java.base", "java.naming", "jdk.localedata", "jdk.unsupported"} <= before
    assert not {"jdk.compiler", "jdk.jshell", "jdk.jlink", "jdk.httpserver"} & before
    edit(
        service.directory / GREETING,
        "class GreetingController {\n",
        "class GreetingController {\n"
        "  static final Class<?> OTHER = com.sun.net.httpserver.HttpServer.class;\n",
    )
    assert modules(service.build("release")) == before | {"jdk.httpserver"}


@pytest.fixture
def trained(lab: Lab, scaffold: Render) -> Service:
    answers = {**COMBINATIONS["java-distroless"], "aot_cache": True}
    return Service(lab, scaffold(**answers), answers)


def test_an_ahead_of_time_cache_is_in_use(trained: Service, lab: Lab, tmp_path: Path) -> None:
    """The JVM takes the cache of the image, and none of jars that it was not made with."""
    assert trained.findings(trained.release) == []
    only = {"JAVA_TOOL_OPTIONS": "-XX:AOTMode=on"}
    done = lab.call(trained.release, ["version"], only)
    assert (done.exit_code, done.stdout.count("\n")) == (0, 1), done
    # The same bytes with another time.
    jar = tmp_path / "payments.jar"
    jar.write_bytes(trained.release.read("/app/payments.jar"))
    mounts = [f"{jar}:/app/payments.jar"]
    assert lab.call(trained.release, ["version"], only, mounts=mounts).exit_code != 0
    dropped = lab.call(trained.release, ["version"], mounts=mounts)
    assert (dropped.exit_code, dropped.stdout) == (0, done.stdout)
