package serviceplatform;

import jakarta.validation.Validation;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.springframework.boot.context.properties.bind.AbstractBindHandler;
import org.springframework.boot.context.properties.bind.BindContext;
import org.springframework.boot.context.properties.bind.BindException;
import org.springframework.boot.context.properties.bind.BindHandler;
import org.springframework.boot.context.properties.bind.Bindable;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.context.properties.bind.validation.BindValidationException;
import org.springframework.boot.context.properties.bind.validation.ValidationBindHandler;
import org.springframework.boot.context.properties.source.ConfigurationPropertyName;
import org.springframework.core.env.Environment;
import org.springframework.validation.FieldError;
import org.springframework.validation.beanvalidation.SpringValidatorAdapter;

/** Collects, while properties are bound, each that is wrong by the name of its variable. */
final class SettingsHandler extends AbstractBindHandler {
  private static final Pattern PLACEHOLDER = Pattern.compile("\\$\\{([A-Za-z0-9_.-]+)");

  private final Map<String, String> wanted = new LinkedHashMap<>();

  SettingsHandler(BindHandler parent) {
    super(parent);
  }

  /**
   * Binds and validates settings.
   *
   * @throws SettingsException with all that are wrong
   */
  static <T> T bind(Environment environment, String prefix, Class<T> type) {
    try (var validation = Validation.buildDefaultValidatorFactory()) {
      var validator = new SpringValidatorAdapter(validation.getValidator());
      var handler = new SettingsHandler(new ValidationBindHandler(validator));
      return Binder.get(environment).bindOrCreate(prefix, Bindable.of(type), handler);
    } catch (BindException e) {
      throw e.getCause() instanceof SettingsException cause ? cause : e;
    }
  }

  @Override
  public Object onSuccess(
      ConfigurationPropertyName name, Bindable<?> target, BindContext context, Object result) {
    if (result instanceof String text && placeholder(text) != null) {
      wanted.putIfAbsent(variable(placeholder(text)), "must be set");
    }
    return super.onSuccess(name, target, context, result);
  }

  @Override
  public Object onFailure(
      ConfigurationPropertyName name, Bindable<?> target, BindContext context, Exception error)
      throws Exception {
    try {
      return super.onFailure(name, target, context, error);
    } catch (BindValidationException e) {
      for (var wrong : e.getValidationErrors()) {
        String field = wrong instanceof FieldError of ? of.getField() : "";
        wanted.putIfAbsent(variable(name + "." + field, context), wrong.getDefaultMessage());
      }
    } catch (Exception e) {
      // At the end it may be what the missing ones have caused.
      if (context.getDepth() > 0 || wanted.isEmpty()) {
        wanted.putIfAbsent(variable(name.toString(), context), wanted(target));
      }
    }
    if (context.getDepth() == 0) {
      throw new SettingsException(wanted);
    }
    return null;
  }

  @Override
  public void onFinish(
      ConfigurationPropertyName name, Bindable<?> target, BindContext context, Object result)
      throws Exception {
    super.onFinish(name, target, context, result);
    if (context.getDepth() == 0 && !wanted.isEmpty()) {
      throw new SettingsException(wanted);
    }
  }

  /** The variable of a property, which may stand in place of its value: ${DATABASE_URL}. */
  private static String variable(String property, BindContext context) {
    var name = ConfigurationPropertyName.adapt(camelToDashes(property), '.');
    for (var source : context.getSources()) {
      var found = source.getConfigurationProperty(name);
      if (found != null) {
        String placeholder = placeholder(String.valueOf(found.getValue()));
        return variable(placeholder == null ? property : placeholder);
      }
    }
    return variable(property);
  }

  /** The name in a value such as ${DATABASE_URL} or ${TIMEOUT:5s}. */
  static String placeholder(String value) {
    Matcher matcher = PLACEHOLDER.matcher(value);
    return matcher.lookingAt() ? matcher.group(1) : null;
  }

  /** As Spring's relaxed binding has it: my.databaseUrl and my.database-url are MY_DATABASE_URL. */
  static String variable(String property) {
    return camelToDashes(property)
        .replaceAll("[^A-Za-z0-9]+", "_")
        .replaceAll("^_|_$", "")
        .toUpperCase(Locale.ROOT);
  }

  private static String camelToDashes(String property) {
    return property.replaceAll("([a-z0-9])([A-Z])", "$1-$2");
  }

  static String wanted(Bindable<?> target) {
    Class<?> type = target.getType().toClass();
    if (type.isEnum()) {
      return Stream.of(type.getEnumConstants())
          .map(constant -> constant.toString().toLowerCase(Locale.ROOT))
          .collect(Collectors.joining(", ", "must be one of ", ""));
    }
    return "must be a valid " + type.getSimpleName();
  }
}
