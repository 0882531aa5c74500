package serviceplatform;

import io.micrometer.context.ContextRegistry;
import io.micrometer.context.integration.Slf4jThreadLocalAccessor;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.binder.MeterBinder;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.context.properties.ConfigurationPropertiesBindHandlerAdvisor;
import org.springframework.boot.webmvc.autoconfigure.error.ErrorMvcAutoConfiguration;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Import;
import org.springframework.http.server.observation.OpenTelemetryServerRequestObservationConvention;
import org.springframework.http.server.observation.ServerRequestObservationConvention;

/** What every service of the platform has; a bean of the service's own takes a bean's place. */
@AutoConfiguration(before = ErrorMvcAutoConfiguration.class)
@Import({RequestFilter.class, ProblemController.class})
class PlatformAutoConfiguration {
  /** What runs for a request on another thread logs its request id, too. */
  PlatformAutoConfiguration() {
    ContextRegistry.getInstance().registerThreadLocalAccessor(new Slf4jThreadLocalAccessor());
  }

  @Bean
  static ConfigurationPropertiesBindHandlerAdvisor settingsAdvisor() {
    return SettingsHandler::new;
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
}
