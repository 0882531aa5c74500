package serviceplatform;

import jakarta.validation.constraints.NotNull;
import java.net.InetAddress;
import java.util.Map;
import org.hibernate.validator.constraints.Range;
import org.springframework.core.env.Environment;

/** The variables that every service has; platform.properties has their defaults. */
record Settings(
    @NotNull InetAddress host,
    @NotNull @Range(min = 1, max = 65535) Integer port,
    @NotNull Level logLevel,
    @NotNull @Range(min = 0, max = 20) Integer drainDelaySeconds,
    @NotNull @Range(min = 1, max = 29) Integer shutdownTimeoutSeconds,
    @NotNull @Range(min = 1, max = 3600) Integer idleTimeoutSeconds) {

  enum Level {
    DEBUG,
    INFO,
    WARN,
    ERROR
  }

  /**
   * Reads and checks them.
   *
   * @throws SettingsException with all that are wrong
   */
  static Settings of(Environment environment) {
    Settings settings = SettingsHandler.bind(environment, "", Settings.class);
    if (settings.shutdownTimeoutSeconds <= settings.drainDelaySeconds) {
      throw new SettingsException(
          Map.of("SHUTDOWN_TIMEOUT_SECONDS", "must be greater than DRAIN_DELAY_SECONDS"));
    }
    return settings;
  }
}
