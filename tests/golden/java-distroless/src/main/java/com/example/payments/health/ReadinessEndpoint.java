package com.example.payments.health;

import org.springframework.boot.actuate.endpoint.annotation.ReadOperation;
import org.springframework.boot.actuate.endpoint.web.WebEndpointResponse;
import org.springframework.boot.actuate.endpoint.web.annotation.WebEndpoint;
import org.springframework.boot.availability.ApplicationAvailability;
import org.springframework.boot.availability.ReadinessState;
import org.springframework.stereotype.Component;

/** Whether new requests are welcome: after the start, and until the drain. */
@Component
@WebEndpoint(id = "readyz")
class ReadinessEndpoint {
  private final ApplicationAvailability availability;

  ReadinessEndpoint(ApplicationAvailability availability) {
    this.availability = availability;
  }

  @ReadOperation(produces = "text/plain; charset=utf-8")
  WebEndpointResponse<String> probe() {
    if (availability.getReadinessState() == ReadinessState.REFUSING_TRAFFIC) {
      return new WebEndpointResponse<>(
          "draining\n", WebEndpointResponse.STATUS_SERVICE_UNAVAILABLE);
    }
    return new WebEndpointResponse<>("ok\n");
  }
}
