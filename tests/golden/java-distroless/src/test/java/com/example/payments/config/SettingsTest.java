package com.example.payments.config;

import java.time.Duration;
import java.util.Map;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

class SettingsTest {
  @Test
  void defaults() throws SettingsException {
    Settings want =
        new Settings("0.0.0.0", 8080, "info", Duration.ofSeconds(5), Duration.ofSeconds(25));
    assertThat(Settings.from(Map.of())).isEqualTo(want);
  }

  @Test
  void everyVariable() throws SettingsException {
    Map<String, String> environment =
        Map.of(
            "HOST", "::1",
            "PORT", "00080",
            "LOG_LEVEL", "debug",
            "DRAIN_DELAY_SECONDS", "0",
            "SHUTDOWN_TIMEOUT_SECONDS", "29");
    Settings want = new Settings("::1", 80, "debug", Duration.ZERO, Duration.ofSeconds(29));
    assertThat(Settings.from(environment)).isEqualTo(want);
  }

  @ParameterizedTest
  @ValueSource(strings = {"0.0.0.0", "255.249.199.99", "::", "2001:db8::1", "::ffff:192.0.2.1"})
  void goodHosts(String host) throws SettingsException {
    assertThat(Settings.from(Map.of("HOST", host)).host()).isEqualTo(host);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "localhost",
        "127.1",
        "256.0.0.1",
        "1.2.3.4.5",
        "1.2.3.4.",
        "01.2.3.4",
        "[::1]",
        "fe80::1%lo",
        ":",
        ":::",
        " ::1"
      })
  void badHosts(String host) {
    assertWrong("HOST", host, "an IP address");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", "http", " 80", "+80", "-80", "8_0", "0x50", "0", "65536", "000080", "٨٠"})
  void badPorts(String port) {
    assertWrong("PORT", port, "an integer from 1 to 65535");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "INFO", "warning", "trace"})
  void badLogLevels(String level) {
    assertWrong("LOG_LEVEL", level, "one of debug, info, warn, error");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "21", "-1", "1.5"})
  void badDrainDelays(String seconds) {
    assertWrong("DRAIN_DELAY_SECONDS", seconds, "an integer from 0 to 20");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "0", "30", "5"})
  void badShutdownTimeouts(String seconds) {
    String want = "an integer from 1 to 29, greater than DRAIN_DELAY_SECONDS";
    assertWrong("SHUTDOWN_TIMEOUT_SECONDS", seconds, want);
  }

  @Test
  void theFirstWrongVariableIsReported() {
    Map<String, String> environment = Map.of("LOG_LEVEL", "loud", "PORT", "http");
    assertThatThrownBy(() -> Settings.from(environment)).hasMessageContaining(": PORT: ");
  }

  @Test
  void valuesAreQuotedAsJson() {
    assertThatThrownBy(() -> Settings.from(Map.of("PORT", "a\"b\\c\n\u0001<é>")))
        .hasMessageContaining("got \"a\\\"b\\\\c\\n\\u0001<\\u00e9>\", want");
  }

  @ParameterizedTest
  @CsvSource({
    "0.0.0.0, 0.0.0.0:80, http://127.0.0.1:80/livez",
    "192.0.2.1, 192.0.2.1:80, http://192.0.2.1:80/livez",
    "::, [::]:80, http://[::1]:80/livez",
    "2001:db8::1, [2001:db8::1]:80, http://[2001:db8::1]:80/livez",
  })
  void addresses(String host, String address, String url) throws SettingsException {
    Settings settings = Settings.from(Map.of("HOST", host, "PORT", "80"));
    assertThat(settings.address()).isEqualTo(address);
    assertThat(settings.url("/livez")).hasToString(url);
  }

  private static void assertWrong(String variable, String value, String want) {
    String head = "configuration error: " + variable + ": got \"";
    assertThatThrownBy(() -> Settings.from(Map.of(variable, value)))
        .isInstanceOf(SettingsException.class)
        .message()
        .startsWith(head)
        .endsWith("\", want " + want);
  }
}
