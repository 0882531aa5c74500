package com.example.payments.metrics;

import java.util.Set;

import io.prometheus.metrics.core.metrics.Counter;
import io.prometheus.metrics.core.metrics.GaugeWithCallback;
import io.prometheus.metrics.core.metrics.Histogram;
import io.prometheus.metrics.core.metrics.Info;
import io.prometheus.metrics.instrumentation.jvm.JvmMetrics;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.stereotype.Component;

import com.example.payments.server.Traffic;

/** The metrics that every service of the platform has, and those of the JVM. */
@Component
public class Metrics {
  private static final Set<String> METHODS =
      Set.of("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH");
  private static final double NANOS_PER_SECOND = 1e9;

  private final PrometheusRegistry registry = new PrometheusRegistry();
  private final Counter requests;
  private final Histogram durations;

  Metrics(
      Traffic traffic,
      @Value("${spring.application.name}") String service,
      @Value("${spring.application.version:dev}") String version) {
    requests =
        Counter.builder()
            .name("http_requests_total")
            .help("Requests answered.")
            .labelNames("method", "route", "status")
            .register(registry);
    durations =
        Histogram.builder()
            .name("http_request_duration_seconds")
            .help("Time to answer a request.")
            .labelNames("method", "route")
            .classicOnly()
            .classicUpperBounds(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
            .register(registry);
    GaugeWithCallback.builder()
        .name("http_requests_in_flight")
        .help("Requests being served.")
        .callback(callback -> callback.call(traffic.inFlight()))
        .register(registry);
    Info.builder()
        .name("build_info")
        .help("The build that runs.")
        .labelNames("service", "version")
        .register(registry)
        .setLabelValues(service, version);
    JvmMetrics.builder().register(registry);
  }

  /** Counts a request that was answered. */
  public void count(String method, String route, int status, long nanos) {
    String known = METHODS.contains(method) ? method : "other";
    requests.labelValues(known, route, Integer.toString(status)).inc();
    durations.labelValues(known, route).observe(nanos / NANOS_PER_SECOND);
  }

  PrometheusRegistry registry() {
    return registry;
  }
}
