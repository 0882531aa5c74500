package com.example.payments.logging;

import java.time.Instant;
import java.util.List;
import java.util.Map;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.spi.LoggingEvent;
import ch.qos.logback.classic.spi.ThrowableProxy;
import org.junit.jupiter.api.Test;
import org.slf4j.event.KeyValuePair;
import org.springframework.boot.json.JsonParserFactory;
import org.springframework.mock.env.MockEnvironment;

import static org.assertj.core.api.Assertions.assertThat;

class JsonLinesTest {
  private final MockEnvironment environment =
      new MockEnvironment()
          .withProperty("spring.application.name", "orders")
          .withProperty("spring.application.version", "1.2.3");

  @Test
  void keys() {
    LoggingEvent event = event(Level.INFO, null);
    event.addKeyValuePair(new KeyValuePair("status", 200));
    String line = new JsonLines(environment).format(event);
    assertThat(line).endsWith("}\n").doesNotContain("\n\n");
    assertThat(parsed(line))
        .containsExactly(
            Map.entry("time", "2026-03-20T09:30:00.120Z"),
            Map.entry("level", "info"),
            Map.entry("msg", "say \"hello\""),
            Map.entry("service", "orders"),
            Map.entry("version", "1.2.3"),
            Map.entry("status", 200));
  }

  @Test
  void errorsHaveAReasonInOneLine() {
    Throwable cause = new IllegalStateException("no more paper\nin tray 2");
    Map<String, Object> line = formatted(event(Level.ERROR, cause));
    assertThat(line).containsEntry("error", "java.lang.IllegalStateException: no more paper");
    assertThat(line.get("stack")).asString().contains("\tat " + getClass().getName());
  }

  @Test
  void errorsWithoutACauseHaveTheirMessage() {
    assertThat(formatted(event(Level.ERROR, null))).containsEntry("error", "say \"hello\"");
  }

  @Test
  void anEventsOwnReasonIsKept() {
    LoggingEvent event = event(Level.ERROR, new IllegalStateException("no more paper"));
    event.setKeyValuePairs(List.of(new KeyValuePair("error", "out of paper")));
    assertThat(formatted(event)).containsEntry("error", "out of paper");
  }

  private Map<String, Object> formatted(LoggingEvent event) {
    return parsed(new JsonLines(environment).format(event));
  }

  private static Map<String, Object> parsed(String line) {
    return JsonParserFactory.getJsonParser().parseMap(line);
  }

  private static LoggingEvent event(Level level, Throwable cause) {
    LoggingEvent event = new LoggingEvent();
    event.setLoggerContext(new LoggerContext());
    event.setInstant(Instant.parse("2026-03-20T09:30:00.120Z"));
    event.setLevel(level);
    event.setMessage("say \"hello\"");
    if (cause != null) {
      event.setThrowableProxy(new ThrowableProxy(cause));
    }
    return event;
  }
}
