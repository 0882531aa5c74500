package com.example.payments.metrics;

import java.time.Duration;
import java.util.Set;
import java.util.stream.LongStream;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.Meter.MeterProvider;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.stereotype.Component;

import com.example.payments.server.Traffic;

/** The metrics that every service of the platform has. Actuator adds those of the JVM. */
@Component
public class Metrics {
  private static final Set<String> METHODS =
      Set.of("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH");
  private static final Duration[] BUCKETS =
      LongStream.of(5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000)
          .mapToObj(Duration::ofMillis)
          .toArray(Duration[]::new);

  private final MeterProvider<Counter> requests;
  private final MeterProvider<Timer> durations;

  Metrics(
      MeterRegistry registry,
      Traffic traffic,
      @Value("${spring.application.name}") String service,
      @Value("${spring.application.version:dev}") String version) {
    requests =
        Counter.builder("http.requests").description("Requests answered.").withRegistry(registry);
    durations =
        Timer.builder("http.request.duration")
            .description("Time to answer a request.")
            .serviceLevelObjectives(BUCKETS)
            .withRegistry(registry);
    Gauge.builder("http.requests.in.flight", traffic, Traffic::inFlight)
        .description("Requests being served.")
        .register(registry);
    Gauge.builder("build.info", () -> 1)
        .description("The build that runs.")
        .tags("service", service, "version", version)
        .register(registry);
  }

  /** Counts a request that was answered. */
  public void count(String method, String route, int status, Duration duration) {
    String known = METHODS.contains(method) ? method : "other";
    requests
        .withTags("method", known, "route", route, "status", Integer.toString(status))
        .increment();
    durations.withTags("method", known, "route", route).record(duration);
  }
}
