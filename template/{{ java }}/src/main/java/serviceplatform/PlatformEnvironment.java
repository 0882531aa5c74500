package serviceplatform;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.boot.EnvironmentPostProcessor;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.BindMethod;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.Environment;
import org.springframework.core.env.MapPropertySource;
import org.springframework.core.env.PropertySource;
import org.springframework.core.io.support.ResourcePropertySource;

/** Adds the platform's properties, and has all settings checked before anything else starts. */
final class PlatformEnvironment implements EnvironmentPostProcessor {
  static final String PROPERTIES = "serviceplatform/platform.properties";

  @Override
  public void postProcessEnvironment(
      ConfigurableEnvironment environment, SpringApplication application) {
    PropertySource<?> defaults = add(environment, PROPERTIES);
    Map<String, String> wanted = new LinkedHashMap<>();
    try {
      Settings.of(environment);
    } catch (SettingsException e) {
      wanted.putAll(e.wanted());
      // What comes before the check of the service's own settings gets the default.
      Map<String, Object> usable = new HashMap<>();
      wanted.keySet().forEach(variable -> usable.put(variable, defaults.getProperty(variable)));
      environment.getPropertySources().addFirst(new MapPropertySource("usable", usable));
    }
    application.addInitializers(
        context ->
            context.addBeanFactoryPostProcessor(factory -> check(environment, factory, wanted)));
  }

  /** Adds properties that all others take precedence over. */
  static PropertySource<?> add(ConfigurableEnvironment environment, String properties) {
    try {
      var source = new ResourcePropertySource(properties, "classpath:" + properties);
      environment.getPropertySources().addLast(source);
      return source;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Adds what is wrong with the service's own settings, and gives up if there is anything. */
  private static void check(
      Environment environment,
      ConfigurableListableBeanFactory factory,
      Map<String, String> wanted) {
    for (String name : factory.getBeanNamesForAnnotation(ConfigurationProperties.class)) {
      var properties = factory.findAnnotationOnBean(name, ConfigurationProperties.class);
      if (properties != null && isValueObject(factory, name)) {
        try {
          SettingsHandler.bind(environment, properties.prefix(), factory.getType(name));
        } catch (SettingsException e) {
          wanted.putAll(e.wanted());
        }
      }
    }
    if (!wanted.isEmpty()) {
      throw new SettingsException(wanted);
    }
  }

  private static boolean isValueObject(ConfigurableListableBeanFactory factory, String bean) {
    return factory.containsBeanDefinition(bean)
        && factory.getBeanDefinition(bean).getAttribute(BindMethod.class.getName())
            == BindMethod.VALUE_OBJECT;
  }
}
