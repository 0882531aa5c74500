package com.example.payments.health;

import org.junit.jupiter.api.Test;
import org.springframework.boot.availability.ApplicationAvailabilityBean;
import org.springframework.boot.availability.AvailabilityChangeEvent;
import org.springframework.boot.availability.LivenessState;

import static org.assertj.core.api.Assertions.assertThat;

class LivenessEndpointTest {
  private final ApplicationAvailabilityBean availability = new ApplicationAvailabilityBean();
  private final LivenessEndpoint endpoint = new LivenessEndpoint(availability);

  @Test
  void aliveFromTheStart() {
    assertThat(endpoint.probe().getStatus()).isEqualTo(200);
    assertThat(endpoint.probe().getBody()).isEqualTo("ok\n");
  }

  @Test
  void deadWhenAnEventSaysSo() {
    availability.onApplicationEvent(new AvailabilityChangeEvent<>(this, LivenessState.BROKEN));
    assertThat(endpoint.probe().getStatus()).isEqualTo(503);
    assertThat(endpoint.probe().getBody()).isEqualTo("broken\n");
  }
}
