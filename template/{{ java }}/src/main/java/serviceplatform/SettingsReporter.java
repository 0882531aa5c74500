package serviceplatform;

import java.util.Optional;
import org.springframework.beans.factory.InjectionPoint;
import org.springframework.beans.factory.UnsatisfiedDependencyException;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringBootExceptionReporter;
import org.springframework.boot.context.properties.bind.BindException;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;
import org.springframework.util.PlaceholderResolutionException;

/** Says on stderr which settings keep the service from starting, in place of Spring's reports. */
@Order(Ordered.HIGHEST_PRECEDENCE)
final class SettingsReporter implements SpringBootExceptionReporter {
  SettingsReporter(ConfigurableApplicationContext context) {}

  @Override
  public boolean reportException(Throwable failure) {
    Optional<String> problem = problem(failure);
    problem.ifPresent(System.err::println);
    return problem.isPresent();
  }

  /** What is wrong with the settings, if that is why the application failed. */
  static Optional<String> problem(Throwable failure) {
    String problem = null;
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      switch (cause) {
        case SettingsException e -> problem = e.getMessage();
        case BindException e ->
            problem = line(e.getName().toString(), SettingsHandler.wanted(e.getTarget()));
        case PlaceholderResolutionException e -> problem = line(e.getPlaceholder(), "must be set");
        case UnsatisfiedDependencyException e when placeholder(e) != null ->
            problem = line(placeholder(e), "must be valid");
        default -> {}
      }
    }
    return Optional.ofNullable(problem);
  }

  private static String line(String property, String wanted) {
    return SettingsHandler.variable(property) + ": " + wanted;
  }

  /** What a value is injected from: {@code @Value("${TIMEOUT}")}. */
  private static String placeholder(UnsatisfiedDependencyException e) {
    InjectionPoint point = e.getInjectionPoint();
    Value value = point == null ? null : point.getAnnotation(Value.class);
    return value == null ? null : SettingsHandler.placeholder(value.value());
  }
}
