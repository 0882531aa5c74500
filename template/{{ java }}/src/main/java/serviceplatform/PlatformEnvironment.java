package serviceplatform;

import java.io.IOException;
import java.io.UncheckedIOException;
import org.springframework.boot.EnvironmentPostProcessor;
import org.springframework.boot.SpringApplication;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.io.support.ResourcePropertySource;

/** Adds the platform's properties, below the service's own, and checks the variables. */
final class PlatformEnvironment implements EnvironmentPostProcessor {
  static final String PROPERTIES = "serviceplatform/platform.properties";

  @Override
  public void postProcessEnvironment(
      ConfigurableEnvironment environment, SpringApplication application) {
    add(environment, PROPERTIES);
    Settings.of(environment);
  }

  /** Adds properties that all others take precedence over. */
  static void add(ConfigurableEnvironment environment, String properties) {
    try {
      environment
          .getPropertySources()
          .addLast(new ResourcePropertySource(properties, "classpath:" + properties));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
