package com.example.payments.config;

import java.net.InetAddress;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/** The settings of one process, read from its environment. */
public record Settings(
    String host, int port, String logLevel, Duration drainDelay, Duration shutdownTimeout) {

  private static final Pattern OCTETS =
      Pattern.compile("((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])([.](?!$)|$)){4}");
  private static final Pattern IPV6 = Pattern.compile("[0-9A-Fa-f.]*:[0-9A-Fa-f:.]+");
  private static final Pattern DIGITS = Pattern.compile("[0-9]{1,5}");
  private static final List<String> LOG_LEVELS = List.of("debug", "info", "warn", "error");

  /**
   * Reads and checks the variables in a fixed order.
   *
   * @throws SettingsException for the first variable that is wrong
   */
  public static Settings from(Map<String, String> environment) throws SettingsException {
    String host = environment.getOrDefault("HOST", "0.0.0.0");
    if (!isAddress(host)) {
      throw new SettingsException("HOST", host, "an IP address");
    }
    int port = integer(environment, "PORT", "8080", 1, 65535, "an integer from 1 to 65535");
    String logLevel = environment.getOrDefault("LOG_LEVEL", "info");
    if (!LOG_LEVELS.contains(logLevel)) {
      String want = "one of " + String.join(", ", LOG_LEVELS);
      throw new SettingsException("LOG_LEVEL", logLevel, want);
    }
    int delay = integer(environment, "DRAIN_DELAY_SECONDS", "5", 0, 20, "an integer from 0 to 20");
    int timeout =
        integer(
            environment,
            "SHUTDOWN_TIMEOUT_SECONDS",
            "25",
            delay + 1,
            29,
            "an integer from 1 to 29, greater than DRAIN_DELAY_SECONDS");
    return new Settings(
        host, port, logLevel, Duration.ofSeconds(delay), Duration.ofSeconds(timeout));
  }

  /** The listening address as logs show it. */
  public String address() {
    return bracketed(host) + ":" + port;
  }

  /** A URL of this service as it is called over loopback. */
  public URI url(String path) {
    InetAddress listening = InetAddress.ofLiteral(host);
    String called = host;
    if (listening.isAnyLocalAddress()) {
      called = host.contains(":") ? "::1" : "127.0.0.1";
    }
    return URI.create("http://" + bracketed(called) + ":" + port + path);
  }

  private static String bracketed(String host) {
    return host.contains(":") ? "[" + host + "]" : host;
  }

  /** Narrower than {@link InetAddress#ofLiteral}, which takes 127.1, [::1] and zones as well. */
  private static boolean isAddress(String host) {
    if (OCTETS.matcher(host).matches()) {
      return true;
    }
    if (!IPV6.matcher(host).matches()) {
      return false;
    }
    try {
      InetAddress.ofLiteral(host);
      return true;
    } catch (IllegalArgumentException e) {
      return false;
    }
  }

  private static int integer(
      Map<String, String> environment, String name, String preset, int min, int max, String want)
      throws SettingsException {
    String value = environment.getOrDefault(name, preset);
    if (DIGITS.matcher(value).matches()) {
      int number = Integer.parseInt(value);
      if (number >= min && number <= max) {
        return number;
      }
    }
    throw new SettingsException(name, value, want);
  }
}
