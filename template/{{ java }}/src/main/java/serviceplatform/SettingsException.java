package serviceplatform;

import java.util.Map;
import java.util.stream.Collectors;

/** Names the variables that are wrong, a line each, and what they want; never their values. */
final class SettingsException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  SettingsException(Map<String, String> wanted) {
    super(
        wanted.entrySet().stream()
            .map(variable -> variable.getKey() + ": " + variable.getValue())
            .collect(Collectors.joining("\n")));
  }
}
