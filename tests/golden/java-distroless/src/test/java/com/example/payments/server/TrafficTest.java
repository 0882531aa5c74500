package com.example.payments.server;

import java.time.Duration;

import org.junit.jupiter.api.Test;

import static org.assertj.core.api.Assertions.assertThat;

class TrafficTest {
  private final Traffic traffic = new Traffic();

  @Test
  void countsRequests() {
    traffic.begin();
    traffic.begin();
    traffic.end();
    assertThat(traffic.inFlight()).isEqualTo(1);
  }

  @Test
  void waitsUntilTheLastRequestEnds() throws InterruptedException {
    traffic.begin();
    Thread waiting =
        Thread.startVirtualThread(() -> {
          try {
            traffic.awaitNone(Duration.ZERO);
          } catch (InterruptedException e) {
            throw new AssertionError(e);
          }
        });
    while (waiting.getState() != Thread.State.WAITING) {
      assertThat(waiting.isAlive()).isTrue();
      Thread.onSpinWait();
    }
    traffic.end();
    waiting.join();
    assertThat(traffic.inFlight()).isZero();
  }

  @Test
  void waitsForAQuietMoment() throws InterruptedException {
    Duration quiet = Duration.ofMillis(50);
    long begun = System.nanoTime();
    traffic.awaitNone(quiet);
    assertThat(Duration.ofNanos(System.nanoTime() - begun)).isGreaterThanOrEqualTo(quiet);
  }
}
