package serviceplatform;

import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.binder.MeterBinder;
import java.util.Map;
import org.slf4j.MDC;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.availability.ApplicationAvailability;
import org.springframework.boot.context.properties.ConfigurationPropertiesBindHandlerAdvisor;
import org.springframework.boot.webmvc.autoconfigure.error.ErrorMvcAutoConfiguration;
import org.springframework.boot.webmvc.error.ErrorController;
import org.springframework.context.annotation.Bean;
import org.springframework.core.task.TaskDecorator;
import org.springframework.http.server.observation.OpenTelemetryServerRequestObservationConvention;
import org.springframework.http.server.observation.ServerRequestObservationConvention;
import org.springframework.util.unit.DataSize;
import org.springframework.web.servlet.HandlerExceptionResolver;

/** What every service of the platform has; a bean of the service's own takes a bean's place. */
@AutoConfiguration(before = ErrorMvcAutoConfiguration.class)
class PlatformAutoConfiguration {
  @Bean
  static ConfigurationPropertiesBindHandlerAdvisor settingsAdvisor() {
    return SettingsHandler::new;
  }

  @Bean
  RequestFilter requestFilter(
      ApplicationAvailability availability,
      @Value("${serviceplatform.max-body-size}") DataSize maxBodySize) {
    return new RequestFilter(availability, maxBodySize);
  }

  @Bean
  @ConditionalOnMissingBean(ErrorController.class)
  ProblemController problemController() {
    return new ProblemController();
  }

  @Bean
  HandlerExceptionResolver firstResolver() {
    return new FirstResolver();
  }

  @Bean
  @ConditionalOnMissingBean
  ServerRequestObservationConvention serverRequestObservationConvention() {
    return new OpenTelemetryServerRequestObservationConvention();
  }

  @Bean
  MeterBinder buildInfo(
      @Value("${spring.application.name}") String service,
      @Value("${spring.application.version:dev}") String version) {
    return registry ->
        Gauge.builder("build.info", () -> 1)
            .description("The build that runs.")
            .tags("service", service, "version", version)
            .register(registry);
  }

  /** What runs for a request on another thread logs its request id, too. */
  @Bean
  @ConditionalOnMissingBean
  TaskDecorator requestContext() {
    return task -> {
      Map<String, String> context = MDC.getCopyOfContextMap();
      return () -> {
        Map<String, String> earlier = MDC.getCopyOfContextMap();
        MDC.setContextMap(context == null ? Map.of() : context);
        try {
          task.run();
        } finally {
          // A pool that is full runs the task on the thread that has sent it.
          MDC.setContextMap(earlier == null ? Map.of() : earlier);
        }
      };
    };
  }
}
