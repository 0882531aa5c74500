package com.example.payments.metrics;

import java.io.ByteArrayOutputStream;
import java.io.IOException;

import io.prometheus.metrics.expositionformats.PrometheusTextFormatWriter;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** Prometheus' view of the service. */
@RestController
class MetricsController {
  private static final MediaType TEXT_FORMAT =
      MediaType.valueOf("text/plain; version=0.0.4; charset=utf-8");

  private final PrometheusTextFormatWriter writer = PrometheusTextFormatWriter.create();
  private final Metrics metrics;

  MetricsController(Metrics metrics) {
    this.metrics = metrics;
  }

  @GetMapping("/metrics")
  ResponseEntity<byte[]> scrape() throws IOException {
    ByteArrayOutputStream text = new ByteArrayOutputStream();
    writer.write(text, metrics.registry().scrape());
    return ResponseEntity.ok().contentType(TEXT_FORMAT).body(text.toByteArray());
  }
}
