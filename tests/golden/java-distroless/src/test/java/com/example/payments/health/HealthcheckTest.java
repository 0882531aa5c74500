package com.example.payments.health;

import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

class HealthcheckTest {
  @Test
  void healthy() throws Exception {
    try (ServerSocket server = answering("HTTP/1.1 200 OK")) {
      assertThatCode(() -> Healthcheck.check(url(server))).doesNotThrowAnyException();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "HTTP/1.1 503 Service Unavailable, got status 503",
    "220 smtp.example.com ESMTP, the answer is not HTTP",
  })
  void unhealthy(String answer, String reason) throws Exception {
    try (ServerSocket server = answering(answer)) {
      URI url = url(server);
      assertThatThrownBy(() -> Healthcheck.check(url))
          .isInstanceOf(Healthcheck.Failure.class)
          .hasMessage("healthcheck: " + url + ": " + reason);
    }
  }

  @Test
  void silent() throws Exception {
    try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      assertThatThrownBy(() -> Healthcheck.check(url(server)))
          .hasMessageEndingWith(": no answer within 2 seconds");
    }
  }

  @Test
  void nobodyThere() throws Exception {
    ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
    server.close();
    assertThatThrownBy(() -> Healthcheck.check(url(server)))
        .hasMessageContaining("Connection refused");
  }

  private static URI url(ServerSocket server) {
    return URI.create("http://127.0.0.1:" + server.getLocalPort() + "/livez");
  }

  private static ServerSocket answering(String head) throws IOException {
    ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
    Thread.startVirtualThread(() -> {
      try (Socket connection = server.accept()) {
        byte[] answer = (head + "\r\n\r\n").getBytes(StandardCharsets.US_ASCII);
        connection.getOutputStream().write(answer);
        connection.getInputStream().transferTo(OutputStream.nullOutputStream());
      } catch (IOException e) {
        throw new AssertionError(e);
      }
    });
    return server;
  }
}
