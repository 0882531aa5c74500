import logging
import re

import pytest

from payments_app.logs import configure_logging, get_logger
from payments_app.version import SERVICE, VERSION

from .support import ReadLog


def test_a_line_has_the_common_keys(read_log: ReadLog) -> None:
    get_logger().warning("low on disk", free=3)
    (line,) = read_log()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "warn",
        "msg": "low on disk",
        "service": SERVICE,
        "version": VERSION,
        "free": 3,
    }


def test_lines_below_the_level_are_left_out(read_log: ReadLog) -> None:
    configure_logging("warn")
    get_logger().info("too quiet")
    get_logger().error("loud enough")
    assert [line["msg"] for line in read_log()] == ["loud enough"]


def test_libraries_log_in_the_same_format(read_log: ReadLog) -> None:
    library = logging.getLogger("library")
    library.info("Nothing to see")
    library.warning("Pool is\nfull")
    library.error("Lookup failed", exc_info=KeyError("customer"))
    warning, error = read_log()
    assert (warning["level"], warning["msg"], warning["logger"]) == (
        "warn",
        "pool is full",
        "library",
    )
    assert (error["level"], error["msg"]) == ("error", "lookup failed")
    assert error["error"] == "KeyError: 'customer'"


@pytest.mark.parametrize("text", ['quote "', "line\nbreak", "\u2028", "\udcff"])
def test_any_text_is_one_json_line(text: str, read_log: ReadLog) -> None:
    get_logger().info("got", text=text)
    assert [line["text"] for line in read_log()] == [text]
