package com.example.payments.server;

import java.io.IOException;
import java.net.Socket;
import java.time.Duration;

import org.eclipse.jetty.util.component.AbstractLifeCycle;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.jetty.JettyWebServer;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import org.springframework.boot.web.server.servlet.context.ServletWebServerInitializedEvent;
import org.springframework.context.ApplicationListener;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Import;

import com.example.payments.PaymentsApplication;

import static org.assertj.core.api.Assertions.assertThat;

@ExtendWith(OutputCaptureExtension.class)
class DrainTest {
  private static final Duration LONG = Duration.ofSeconds(29);

  @Test
  void answersAreTheLastOfTheirConnections() throws IOException {
    try (RunningServer server = new RunningServer(LONG.minusSeconds(1), LONG)) {
      assertThat(get(server, "/readyz")).startsWith("HTTP/1.1 200").doesNotContain("close");
      try (Socket begun = begin(server)) {
        server.signals.add("SIGTERM");
        String answer = get(server, "/readyz");
        while (!answer.startsWith("HTTP/1.1 503")) {
          answer = get(server, "/readyz");
        }
        assertThat(answer).contains("\r\nConnection: close\r\n").endsWith("\r\n\r\ndraining\n");
        assertThat(get(server, "/livez")).startsWith("HTTP/1.1 200").contains("Connection: close");
        assertThat(get(server, "/nope")).startsWith("HTTP/1.1 404").contains("Connection: close");
        assertThat(finish(begun)).startsWith("HTTP/1.1 200").contains("Connection: close");
      }
    }
    // The second signal, of close(), ended the drain.
  }

  @Test
  void requestsInFlightFinish() throws IOException {
    try (RunningServer server = new RunningServer(Duration.ZERO, LONG);
        Socket idle = server.connect();
        Socket begun = begin(server)) {
      server.signals.add("SIGINT");
      while (!server.refuses()) {
        Thread.onSpinWait();
      }
      assertThat(finish(begun)).startsWith("HTTP/1.1 200").contains("Connection: close");
      assertThat(server.result.join()).isTrue();
      assertThat(idle.getInputStream().read()).isEqualTo(-1);
    }
  }

  @Test
  void theDeadlineEndsTheWait() throws IOException {
    try (RunningServer server = new RunningServer(Duration.ZERO, Duration.ofMillis(100));
        Socket begun = begin(server)) {
      server.signals.add("SIGTERM");
      assertThat(server.result.join()).isFalse();
      assertThat(begun.isConnected()).isTrue();
    }
  }

  @ParameterizedTest
  @ValueSource(classes = {SlowToClose.class, FailsToClose.class})
  void whatHoldsUpTheEndWithoutRequestsIsNoFailure(Class<?> application, CapturedOutput output)
      throws IOException {
    try (RunningServer server =
        new RunningServer(application, Duration.ZERO, Duration.ofSeconds(1))) {
      server.signals.add("SIGTERM");
      assertThat(server.result.join()).isTrue();
    }
    assertThat(output.getAll()).doesNotContain("shutdown deadline exceeded", "Exception in thread");
  }

  @Test
  void aSecondSignalEndsTheWait() throws IOException {
    try (RunningServer server = new RunningServer(LONG, LONG)) {
      server.signals.add("SIGTERM");
      server.signals.add("SIGINT");
      assertThat(server.result.join()).isFalse();
    }
  }

  private static String get(RunningServer server, String path) throws IOException {
    return server.exchange(RunningServer.head("GET " + path));
  }

  /** Sends a request without the end of its body, and returns when it is in flight. */
  private static Socket begin(RunningServer server) throws IOException {
    Socket connection = server.connect();
    String type = "Content-Type: application/json";
    String head = RunningServer.head("POST /v1/greetings", type, "Content-Length: 14");
    RunningServer.send(connection, head + "{\"name\":");
    while (!get(server, "/metrics").contains("\nhttp_requests_in_flight 2.0\n")) {
      Thread.onSpinWait();
    }
    return connection;
  }

  private static String finish(Socket connection) throws IOException {
    RunningServer.send(connection, "\"Ada\"}");
    return RunningServer.answer(connection);
  }

  /** The service with a bean that takes its time. */
  @Import(PaymentsApplication.class)
  static class SlowToClose {
    @Bean
    static AutoCloseable slow() {
      return () -> Thread.sleep(Duration.ofSeconds(3));
    }
  }

  /** The service with a web server that does not stop in order. */
  @Import(PaymentsApplication.class)
  static class FailsToClose {
    @Bean
    static ApplicationListener<ServletWebServerInitializedEvent> failing() {
      return event ->
          ((JettyWebServer) event.getWebServer())
              .getServer()
              .addManaged(
                  new AbstractLifeCycle() {
                    @Override
                    protected void doStop() {
                      throw new IllegalStateException("no more paper");
                    }
                  });
    }
  }
}
