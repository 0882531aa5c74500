package com.example.payments.server;

import java.io.EOFException;
import java.io.IOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import jakarta.servlet.http.HttpServletResponse;

import io.prometheus.metrics.model.registry.Collector;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import io.prometheus.metrics.model.snapshots.GaugeSnapshot;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.json.JsonParserFactory;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Import;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.servlet.mvc.method.annotation.StreamingResponseBody;

import com.example.payments.PaymentsApplication;
import com.example.payments.http.ProblemException;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

/** What a client and the log see of a handler that fails. */
@ExtendWith(OutputCaptureExtension.class)
class FaultTest {
  private static RunningServer server;

  @BeforeAll
  static void start() throws IOException {
    server = new RunningServer(Faulty.class, Duration.ZERO, Duration.ofSeconds(25));
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  @ParameterizedTest
  @ValueSource(strings = {"/faults/end-of-stream", "/faults/reset"})
  void aBackendThatHangsUpIsAFault(String path, CapturedOutput output) throws IOException {
    assertThat(get(path))
        .startsWith("HTTP/1.1 500 ")
        .contains("\r\nContent-Type: application/problem+json\r\n")
        .doesNotContain("secret");
    assertThat(onlyError(output))
        .containsEntry("msg", "request")
        .containsEntry("path", path)
        .containsEntry("status", 500)
        .hasEntrySatisfying("error", error -> assertThat(error).asString().contains("secret"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "/faults/late",
        "/faults/late-end-of-stream",
        "/faults/late-problem",
        "/faults/late-json",
        "/faults/late-stream"
      })
  void anAnswerIsCutShort(String path, CapturedOutput output) throws IOException {
    assertThat(get(path))
        .startsWith("HTTP/1.1 200 ")
        .contains("half of it")
        .doesNotContain("problem")
        .doesNotContain("\r\n0\r\n");
    assertThat(onlyError(output))
        .containsEntry("msg", "answer cut short")
        .containsEntry("method", "GET")
        .containsEntry("path", path)
        .containsEntry("status", 200)
        .containsKeys("duration_ms", "request_id", "stack")
        .hasEntrySatisfying("error", error -> assertThat(error).asString().contains("secret"));
  }

  @Test
  void aClientThatLeavesIsNoFault(CapturedOutput output) throws IOException {
    try (Socket connection = server.connect()) {
      connection.setSoLinger(true, 0);
      RunningServer.send(connection, RunningServer.head("GET /faults/endless"));
      assertThat(connection.getInputStream().read()).isEqualTo('H');
    }
    await()
        .until(() -> get("/metrics").contains("route=\"/faults/endless\",status=\"200\"} 1.0\n"));
    assertThat(errors(output)).noneMatch(line -> line.get("path").equals("/faults/endless"));
  }

  @Test
  void aScrapeThatFailsIsAFault(CapturedOutput output) throws IOException {
    Faulty.scrapes = false;
    try {
      assertThat(get("/metrics")).startsWith("HTTP/1.1 500 ");
    } finally {
      Faulty.scrapes = true;
    }
    assertThat(onlyError(output))
        .containsEntry("msg", "request")
        .containsEntry("path", "/metrics")
        .containsEntry("status", 500)
        .hasEntrySatisfying("error", error -> assertThat(error).asString().contains("secret"));
  }

  private static String get(String path) throws IOException {
    return server.exchange(RunningServer.head("GET " + path, "Connection: close"));
  }

  /** A request is logged once its answer is sent. */
  private static Map<String, Object> onlyError(CapturedOutput output) {
    await().until(() -> !errors(output).isEmpty());
    assertThat(output.getOut().lines()).hasSize(1);
    return errors(output).getFirst();
  }

  private static List<Map<String, Object>> errors(CapturedOutput output) {
    return output
        .getOut()
        .lines()
        .map(line -> JsonParserFactory.getJsonParser().parseMap(line))
        .filter(line -> line.get("level").equals("error"))
        .toList();
  }

  /** The service with routes that fail, and a metric that cannot always be read. */
  @Import({Faults.class, PaymentsApplication.class})
  static class Faulty {
    static volatile boolean scrapes = true;

    @Bean
    static Collector collector(PrometheusRegistry registry) {
      Collector collector =
          () -> {
            if (scrapes) {
              return GaugeSnapshot.builder().name("faults").build();
            }
            throw new IllegalStateException("secret");
          };
      registry.register(collector);
      return collector;
    }
  }

  @RestController
  static class Faults {
    /** More than is kept before the answer begins. */
    private static final String LONG_HALF = "half of it".repeat(10_000);

    @GetMapping("/faults/end-of-stream")
    void endOfStream() throws IOException {
      throw new EOFException("secret");
    }

    @GetMapping("/faults/reset")
    void reset() {
      throw new IllegalStateException("secret", new IOException("Connection reset by peer"));
    }

    @GetMapping("/faults/late")
    void late(HttpServletResponse response) throws IOException {
      begin(response);
      throw new IllegalStateException("secret");
    }

    @GetMapping("/faults/late-end-of-stream")
    void lateEndOfStream(HttpServletResponse response) throws IOException {
      begin(response);
      throw new EOFException("secret");
    }

    @GetMapping("/faults/late-problem")
    void lateProblem(HttpServletResponse response) throws IOException {
      begin(response);
      throw ProblemException.badRequest("secret");
    }

    @GetMapping("/faults/late-json")
    List<Item> lateJson() {
      return List.of(new Item(LONG_HALF), new Item(""));
    }

    @GetMapping("/faults/late-stream")
    StreamingResponseBody lateStream() {
      return out -> {
        out.write(LONG_HALF.getBytes(StandardCharsets.UTF_8));
        throw new IllegalStateException("secret");
      };
    }

    @GetMapping("/faults/endless")
    void endless(HttpServletResponse response) throws IOException {
      while (true) {
        begin(response);
      }
    }

    private static void begin(HttpServletResponse response) throws IOException {
      response.getOutputStream().write("half of it".getBytes(StandardCharsets.UTF_8));
      response.flushBuffer();
    }
  }

  /** Cannot be read when it is empty. */
  record Item(String text) {
    @Override
    public String text() {
      if (text.isEmpty()) {
        throw new IllegalStateException("secret");
      }
      return text;
    }
  }
}
