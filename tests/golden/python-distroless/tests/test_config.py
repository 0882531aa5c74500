from ipaddress import ip_address

import pytest

from payments.config import Config, ConfigError, load_config

PORT = "an integer from 1 to 65535"
DELAY = "an integer from 0 to 20"
TIMEOUT = "an integer from 1 to 29, greater than DRAIN_DELAY_SECONDS"
LEVEL = "one of debug, info, warn, error"


def test_defaults() -> None:
    assert load_config({}) == Config(
        host=ip_address("0.0.0.0"),  # noqa: S104
        port=8080,
        log_level="info",
        drain_delay=5,
        shutdown_timeout=25,
    )


def test_every_variable_is_read() -> None:
    environ = {
        "HOST": "::1",
        "PORT": "00080",
        "LOG_LEVEL": "error",
        "DRAIN_DELAY_SECONDS": "0",
        "SHUTDOWN_TIMEOUT_SECONDS": "1",
    }
    assert load_config(environ) == Config(
        host=ip_address("::1"), port=80, log_level="error", drain_delay=0, shutdown_timeout=1
    )


@pytest.mark.parametrize(
    ("variable", "value", "want"),
    [
        ("HOST", "", "an IP address"),
        ("HOST", "localhost", "an IP address"),
        ("HOST", "127.1", "an IP address"),
        ("HOST", "[::1]", "an IP address"),
        ("PORT", "", PORT),
        ("PORT", "0", PORT),
        ("PORT", "65536", PORT),
        ("PORT", "000080", PORT),
        ("PORT", "+80", PORT),
        ("PORT", " 80", PORT),
        ("PORT", "80\n", PORT),
        ("PORT", "8_0", PORT),
        ("PORT", "٨٠", PORT),
        ("LOG_LEVEL", "", LEVEL),
        ("LOG_LEVEL", "INFO", LEVEL),
        ("DRAIN_DELAY_SECONDS", "21", DELAY),
        ("DRAIN_DELAY_SECONDS", "-1", DELAY),
        ("SHUTDOWN_TIMEOUT_SECONDS", "30", TIMEOUT),
        ("SHUTDOWN_TIMEOUT_SECONDS", "0", TIMEOUT),
        ("SHUTDOWN_TIMEOUT_SECONDS", "5", TIMEOUT),
    ],
)
def test_wrong_value(variable: str, value: str, want: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_config({variable: value})
    message = str(raised.value)
    assert message.startswith(f"{variable}: got ")
    assert message.endswith(f", want {want}")


def test_the_value_is_escaped_as_in_json() -> None:
    with pytest.raises(ConfigError) as raised:
        load_config({"PORT": 'a"\n<é>'})
    assert str(raised.value) == r'PORT: got "a\"\n<é>", want an integer from 1 to 65535'


def test_the_first_wrong_variable_is_reported() -> None:
    with pytest.raises(ConfigError, match=r"^LOG_LEVEL: "):
        load_config({"SHUTDOWN_TIMEOUT_SECONDS": "x", "DRAIN_DELAY_SECONDS": "x", "LOG_LEVEL": "x"})


@pytest.mark.parametrize(
    ("host", "address"), [("127.0.0.1", "127.0.0.1:8080"), ("::", "[::]:8080")]
)
def test_address(host: str, address: str) -> None:
    assert load_config({"HOST": host}).address == address
