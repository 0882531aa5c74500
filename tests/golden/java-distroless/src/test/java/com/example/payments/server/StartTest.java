package com.example.payments.server;

import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.time.Duration;
import java.util.concurrent.LinkedBlockingQueue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Import;

import com.example.payments.PaymentsApplication;
import com.example.payments.config.Settings;

import static org.assertj.core.api.Assertions.assertThat;

@ExtendWith(OutputCaptureExtension.class)
class StartTest {
  @Test
  void aBackendThatIsDownIsNotTheServicesAddress(CapturedOutput output) {
    int port = RunningServer.freePort();
    Settings settings =
        new Settings("127.0.0.1", port, "error", Duration.ZERO, Duration.ofSeconds(1));
    Server server = new Server(WithoutBackend.class, settings, "orders", "1.2.3");
    assertThat(server.serve(new LinkedBlockingQueue<>())).isFalse();
    assertThat(output.getOut())
        .contains("\"msg\":\"cannot start\"", "Connection refused")
        .doesNotContain("cannot listen");
  }

  /** The service with a bean that needs another service at once. */
  @Import(PaymentsApplication.class)
  static class WithoutBackend {
    @Bean
    static Socket backend() throws IOException {
      return new Socket(InetAddress.getLoopbackAddress(), RunningServer.freePort());
    }
  }
}
