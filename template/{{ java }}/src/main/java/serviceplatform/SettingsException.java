package serviceplatform;

import java.util.Map;
import java.util.stream.Collectors;

/** Names the variables that are wrong, and what they want; never what they hold. */
final class SettingsException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  SettingsException(Map<String, String> wanted) {
    super(
        wanted.entrySet().stream()
            .map(variable -> variable.getKey() + ": " + variable.getValue())
            .collect(Collectors.joining("\n")));
  }

  SettingsException(Iterable<String> lines) {
    super(String.join("\n", lines));
  }
}
