package com.example.payments.health;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.springframework.boot.availability.ApplicationAvailabilityBean;
import org.springframework.boot.availability.AvailabilityChangeEvent;
import org.springframework.boot.availability.ReadinessState;

import static org.assertj.core.api.Assertions.assertThat;

class ReadinessEndpointTest {
  private final ApplicationAvailabilityBean availability = new ApplicationAvailabilityBean();
  private final ReadinessEndpoint endpoint = new ReadinessEndpoint(availability);

  @Test
  void notReadyBeforeAnEventSaysSo() {
    assertThat(endpoint.probe().getStatus()).isEqualTo(503);
  }

  @ParameterizedTest
  @CsvSource({"ACCEPTING_TRAFFIC, 200, ok", "REFUSING_TRAFFIC, 503, draining"})
  void eventsDecide(ReadinessState state, int status, String body) {
    availability.onApplicationEvent(new AvailabilityChangeEvent<>(this, state));
    assertThat(endpoint.probe().getStatus()).isEqualTo(status);
    assertThat(endpoint.probe().getBody()).isEqualTo(body + "\n");
  }
}
