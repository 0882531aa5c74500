package serviceplatform;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.LinkedHashSet;
import java.util.Set;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.boot.EnvironmentPostProcessor;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.BindMethod;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.Environment;
import org.springframework.core.env.PropertySource;
import org.springframework.core.io.support.ResourcePropertySource;

/** Adds the platform's properties, and has all settings checked before anything else starts. */
final class PlatformEnvironment implements EnvironmentPostProcessor {
  @Override
  public void postProcessEnvironment(
      ConfigurableEnvironment environment, SpringApplication application) {
    environment.getPropertySources().addLast(load());
    Set<String> problems = new LinkedHashSet<>();
    try {
      Settings.of(environment);
    } catch (SettingsException e) {
      e.getMessage().lines().forEach(problems::add);
      // Good enough until the service's own settings are checked, too.
      environment.getPropertySources().addFirst(load());
    }
    application.addInitializers(context ->
        context.addBeanFactoryPostProcessor(beans -> check(environment, beans, problems)));
  }

  static PropertySource<?> load() {
    try {
      return new ResourcePropertySource("classpath:serviceplatform/platform.properties");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Adds what is wrong with the service's own settings, and gives up if there is anything. */
  private static void check(
      Environment environment, ConfigurableListableBeanFactory beans, Set<String> problems) {
    for (String name : beans.getBeanDefinitionNames()) {
      Object method = beans.getBeanDefinition(name).getAttribute(BindMethod.class.getName());
      if (method == BindMethod.VALUE_OBJECT) {
        var properties = beans.findAnnotationOnBean(name, ConfigurationProperties.class);
        try {
          SettingsHandler.bind(environment, properties.prefix(), beans.getType(name));
        } catch (SettingsException e) {
          e.getMessage().lines().forEach(problems::add);
        }
      }
    }
    if (!problems.isEmpty()) {
      throw new SettingsException(problems);
    }
  }
}
