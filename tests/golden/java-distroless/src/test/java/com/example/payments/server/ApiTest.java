package com.example.payments.server;

import java.io.IOException;
import java.net.Socket;
import java.time.Duration;
import java.util.List;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

/** What a client sees, byte for byte. */
class ApiTest {
  private static final String UUID =
      "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}";
  private static final String JSON = "Content-Type: application/json";
  private static final String CLOSE = "Connection: close";

  private static RunningServer server;

  @BeforeAll
  static void start() throws IOException {
    server = new RunningServer(Duration.ZERO, Duration.ofSeconds(25));
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  @ParameterizedTest
  @ValueSource(strings = {"/livez", "/readyz", "/readyz?verbose"})
  void probes(String target) throws IOException {
    assertThat(request("GET", target))
        .startsWith("HTTP/1.1 200 ")
        .containsIgnoringCase("\r\ncontent-type: text/plain;charset=utf-8\r\n")
        .endsWith("\r\n\r\nok\n");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "/",
        "/livez/",
        "/LIVEZ",
        "//livez",
        "/v1/../livez",
        "/%2e%2e",
        "/%zz",
        "/a%2Fb",
        "/error",
        "/livez/x",
        "/metrics/x",
        "/prometheus",
        "/health",
        "/actuator",
        "/actuator/health"
      })
  void unknownPaths(String target) throws IOException {
    assertProblem(request("GET", target), 404, "Not Found");
  }

  @Test
  void headIsAGetWithoutItsBody() throws IOException {
    assertThat(request("HEAD", "/livez")).startsWith("HTTP/1.1 200 ").endsWith("\r\n\r\n");
  }

  @ParameterizedTest
  @ValueSource(strings = {"text/html", "application/json", "application/openmetrics-text", "?"})
  void whatAClientAcceptsIsIgnored(String type) throws IOException {
    for (String path : List.of("/livez", "/readyz", "/metrics")) {
      String head = RunningServer.head("GET " + path, CLOSE, "Accept: " + type);
      assertThat(server.exchange(head))
          .startsWith("HTTP/1.1 200 ")
          .containsIgnoringCase("\r\ncontent-type: text/plain;");
    }
  }

  @ParameterizedTest
  @CsvSource({
    "POST, /livez, GET",
    "PUT, /metrics, GET",
    "OPTIONS, /readyz, GET",
    "GET, /v1/greetings, POST",
    "TRACE, /v1/greetings, POST",
    "PROPFIND, /v1/greetings, POST",
  })
  void otherMethods(String method, String path, String allowed) throws IOException {
    String answer = request(method, path);
    assertProblem(answer, 405, "Method Not Allowed");
    assertThat(answer).contains("\r\nAllow: " + allowed);
  }

  @Test
  void otherMediaTypes() throws IOException {
    assertProblem(post("text/plain", "{\"name\":\"Ada\"}"), 415, "Unsupported Media Type");
    assertThat(post("Application/JSON; charset=x", "{\"name\":\"Ada\"}"))
        .startsWith("HTTP/1.1 200");
  }

  @Test
  void aLargeBodyIsRefusedBeforeItIsRead() throws IOException {
    try (Socket connection = server.connect()) {
      String head = RunningServer.head("POST /v1/greetings", JSON, "Content-Length: 1048577");
      RunningServer.send(connection, head);
      byte[] start = connection.getInputStream().readNBytes("HTTP/1.1 413".length());
      assertThat(start).asString().isEqualTo("HTTP/1.1 413");
    }
  }

  @Test
  void bodiesHaveALimit() throws IOException {
    String body = "{\"name\":\"Ada\"}";
    String largest = body + " ".repeat(1024 * 1024 - body.length());
    assertThat(post("application/json", largest)).startsWith("HTTP/1.1 200");
    assertThat(chunked(largest)).startsWith("HTTP/1.1 200");
    assertProblem(chunked(largest + " "), 413, "Content Too Large");
    assertProblem(post("application/json", largest.repeat(4)), 413, "Content Too Large");
  }

  @Test
  void aBodyIsNotReadOnForLongAfterTheAnswer() throws IOException {
    try (Socket connection = server.connect()) {
      String head = RunningServer.head("POST /v1/greetings", JSON, "Content-Length: 1048577");
      RunningServer.send(connection, head);
      assertThat(connection.getInputStream().read()).isEqualTo('H');
      await()
          .atMost(Duration.ofSeconds(5))
          .untilAsserted(() ->
              assertThatThrownBy(() -> RunningServer.send(connection, "x"))
                  .isInstanceOf(IOException.class));
    }
  }

  @Test
  void headersHaveALimit() throws IOException {
    String small = RunningServer.head("GET /livez", CLOSE, "X-Filler: " + "x".repeat(12 * 1024));
    String large = RunningServer.head("GET /livez", CLOSE, "X-Filler: " + "x".repeat(17 * 1024));
    assertThat(server.exchange(small)).startsWith("HTTP/1.1 200");
    assertThat(server.exchange(large)).startsWith("HTTP/1.1 431");
  }

  @ParameterizedTest
  @ValueSource(strings = {"a", "order-42", "A.b_C-9"})
  void goodRequestIdsAreKept(String id) throws IOException {
    assertThat(request("GET", "/nope", id)).contains("\r\nX-Request-Id: " + id + "\r\n");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "a b", "a/b", "\"a\""})
  void otherRequestIdsAreReplaced(String id) throws IOException {
    assertThat(request("GET", "/nope", id)).containsPattern("\r\nX-Request-Id: " + UUID + "\r\n");
  }

  @Test
  void metrics() throws IOException {
    assertThat(request("BREW", "/pot/42")).startsWith("HTTP/1.1 404");
    assertThat(request("DELETE", "/livez")).startsWith("HTTP/1.1 405");
    // A request is counted once its answer is sent.
    await()
        .untilAsserted(() ->
            assertThat(request("GET", "/metrics"))
                .containsIgnoringCase("content-type: text/plain;version=0.0.4;charset=utf-8\r\n")
                .contains("\n# TYPE http_requests_total counter\n")
                .contains(
                    "\nhttp_requests_total{method=\"other\",route=\"unmatched\",status=\"404\"} ")
                .contains(
                    "\nhttp_requests_total{method=\"DELETE\",route=\"/livez\",status=\"405\"} 1.0\n")
                .contains(
                    "http_request_duration_seconds_bucket{method=\"DELETE\",route=\"/livez\",le=\"0.005\"}")
                .contains("\nhttp_requests_in_flight 1.0\n")
                .contains("\nbuild_info{service=\"orders\",version=\"1.2.3\"} 1\n")
                .contains("\njvm_memory_used_bytes{")
                .contains("\nprocess_uptime_seconds ")
                .doesNotContain("http_server_requests"));
  }

  private static void assertProblem(String answer, int status, String title) {
    assertThat(answer)
        .startsWith("HTTP/1.1 " + status + " ")
        .contains("\r\nContent-Type: application/problem+json\r\n")
        .contains("\r\nX-Request-Id: ")
        .contains("{\"title\":\"" + title + "\",\"status\":" + status + ",\"detail\":\"");
  }

  private static String request(String method, String target) throws IOException {
    return request(method, target, "test");
  }

  private static String request(String method, String target, String id) throws IOException {
    String start = method + " " + target;
    return server.exchange(RunningServer.head(start, CLOSE, "X-Request-Id: " + id));
  }

  private static String post(String type, String body) throws IOException {
    String length = "Content-Length: " + body.length();
    String head = RunningServer.head("POST /v1/greetings", CLOSE, "Content-Type: " + type, length);
    return server.exchange(head + body);
  }

  private static String chunked(String body) throws IOException {
    String head =
        RunningServer.head("POST /v1/greetings", CLOSE, JSON, "Transfer-Encoding: chunked");
    String size = Integer.toHexString(body.length());
    return server.exchange(head + size + "\r\n" + body + "\r\n0\r\n\r\n");
  }
}
