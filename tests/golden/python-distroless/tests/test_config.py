from ipaddress import ip_address

import pytest

from payments_app.config import ConfigError, load_config

PORT = "an integer from 1 to 65535"
DELAY = "an integer from 0 to 20"
TIMEOUT = "an integer from 1 to 29, greater than DRAIN_DELAY_SECONDS"
LEVEL = "one of debug, info, warn, error"


def test_defaults() -> None:
    assert load_config().model_dump() == {
        "host": ip_address("0.0.0.0"),  # noqa: S104
        "port": 8080,
        "log_level": "info",
        "drain_delay_seconds": 5,
        "shutdown_timeout_seconds": 25,
    }


def test_every_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST", "::1")
    monkeypatch.setenv("PORT", "00080")
    monkeypatch.setenv("LOG_LEVEL", "error")
    monkeypatch.setenv("DRAIN_DELAY_SECONDS", "0")
    monkeypatch.setenv("SHUTDOWN_TIMEOUT_SECONDS", "1")
    assert load_config().model_dump() == {
        "host": ip_address("::1"),
        "port": 80,
        "log_level": "error",
        "drain_delay_seconds": 0,
        "shutdown_timeout_seconds": 1,
    }


def test_other_variables_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("port", "80")
    assert load_config().port == 8080


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
def test_wrong_value(variable: str, value: str, want: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError) as raised:
        load_config()
    message = str(raised.value)
    assert message.startswith(f"{variable}: got ")
    assert message.endswith(f", want {want}")


def test_the_value_is_escaped_as_in_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", 'a"\n<é>')
    with pytest.raises(ConfigError) as raised:
        load_config()
    assert str(raised.value) == r'PORT: got "a\"\n<é>", want an integer from 1 to 65535'


def test_the_first_wrong_variable_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("SHUTDOWN_TIMEOUT_SECONDS", "DRAIN_DELAY_SECONDS", "LOG_LEVEL"):
        monkeypatch.setenv(variable, "x")
    with pytest.raises(ConfigError, match=r"^LOG_LEVEL: "):
        load_config()


@pytest.mark.parametrize(
    ("host", "address"), [("127.0.0.1", "127.0.0.1:8080"), ("::", "[::]:8080")]
)
def test_address(host: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST", host)
    assert load_config().address == address
