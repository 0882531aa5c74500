package serviceplatform;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/** Names the variables that are wrong, and what they want; never what they hold. */
final class SettingsException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final LinkedHashMap<String, String> wanted;

  SettingsException(Map<String, String> wanted) {
    super(
        wanted.entrySet().stream()
            .map(variable -> variable.getKey() + ": " + variable.getValue())
            .collect(Collectors.joining("\n")));
    this.wanted = new LinkedHashMap<>(wanted);
  }

  Map<String, String> wanted() {
    return wanted;
  }

  /** The one that a failure comes from, if there is one. */
  static Optional<SettingsException> in(Throwable failure) {
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      if (cause instanceof SettingsException found) {
        return Optional.of(found);
      }
    }
    return Optional.empty();
  }
}
