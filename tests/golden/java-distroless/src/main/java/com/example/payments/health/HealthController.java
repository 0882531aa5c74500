package com.example.payments.health;

import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

import com.example.payments.server.Traffic;

/** The probes. */
@RestController
class HealthController {
  private static final MediaType TEXT = MediaType.valueOf("text/plain; charset=utf-8");

  private final Traffic traffic;

  HealthController(Traffic traffic) {
    this.traffic = traffic;
  }

  @GetMapping("/livez")
  ResponseEntity<String> live() {
    return text(HttpStatus.OK, "ok\n");
  }

  @GetMapping("/readyz")
  ResponseEntity<String> ready() {
    if (traffic.draining()) {
      return text(HttpStatus.SERVICE_UNAVAILABLE, "draining\n");
    }
    return text(HttpStatus.OK, "ok\n");
  }

  private static ResponseEntity<String> text(HttpStatus status, String body) {
    return ResponseEntity.status(status).contentType(TEXT).body(body);
  }
}
