package com.example.payments.health;

import org.springframework.boot.actuate.endpoint.annotation.ReadOperation;
import org.springframework.boot.actuate.endpoint.web.WebEndpointResponse;
import org.springframework.boot.actuate.endpoint.web.annotation.WebEndpoint;
import org.springframework.boot.availability.ApplicationAvailability;
import org.springframework.boot.availability.LivenessState;
import org.springframework.stereotype.Component;

/**
 * Whether the process works: it does until an event says that it is broken. A text, as the
 * platform's probes answer; Actuator's own health endpoint has JSON.
 */
@Component
@WebEndpoint(id = "livez")
class LivenessEndpoint {
  private final ApplicationAvailability availability;

  LivenessEndpoint(ApplicationAvailability availability) {
    this.availability = availability;
  }

  @ReadOperation(produces = "text/plain; charset=utf-8")
  WebEndpointResponse<String> probe() {
    if (availability.getState(LivenessState.class, LivenessState.CORRECT) == LivenessState.BROKEN) {
      return new WebEndpointResponse<>("broken\n", WebEndpointResponse.STATUS_SERVICE_UNAVAILABLE);
    }
    return new WebEndpointResponse<>("ok\n");
  }
}
