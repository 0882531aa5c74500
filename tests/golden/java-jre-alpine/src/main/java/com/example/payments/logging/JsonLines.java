package com.example.payments.logging;

import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.Locale;
import java.util.Objects;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.IThrowableProxy;
import ch.qos.logback.classic.spi.ThrowableProxyUtil;
import org.slf4j.event.KeyValuePair;
import org.springframework.boot.json.JsonWriter;
import org.springframework.boot.logging.structured.StructuredLogFormatter;
import org.springframework.core.env.Environment;

/** One JSON object a line, with the keys that every service of the platform logs. */
class JsonLines implements StructuredLogFormatter<ILoggingEvent> {
  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC);

  private final JsonWriter<ILoggingEvent> json;

  JsonLines(Environment environment) {
    String service = environment.getRequiredProperty("spring.application.name");
    String version = environment.getProperty("spring.application.version", "dev");
    json =
        JsonWriter.<ILoggingEvent>of(
                members -> {
                  members.add("time", event -> TIME.format(event.getInstant()));
                  members.add(
                      "level", event -> event.getLevel().toString().toLowerCase(Locale.ROOT));
                  members.add("msg", ILoggingEvent::getFormattedMessage);
                  members.add("service", service);
                  members.add("version", version);
                  members
                      .from(JsonLines::pairs)
                      .<KeyValuePair, String, Object>usingExtractedPairs(
                          Iterable::forEach, pair -> pair.key, pair -> pair.value);
                  members.add("error", JsonLines::error).whenNotNull();
                  members.add("stack", JsonLines::stack).whenNotNull();
                })
            .withNewLineAtEnd();
  }

  @Override
  public String format(ILoggingEvent event) {
    return json.writeToString(event);
  }

  private static List<KeyValuePair> pairs(ILoggingEvent event) {
    return Objects.requireNonNullElse(event.getKeyValuePairs(), List.of());
  }

  /** The reason in one line, unless the event brings its own. */
  private static String error(ILoggingEvent event) {
    if (pairs(event).stream().anyMatch(pair -> pair.key.equals("error"))) {
      return null;
    }
    IThrowableProxy cause = event.getThrowableProxy();
    String reason = event.getFormattedMessage();
    if (cause != null) {
      reason = cause.getClassName() + ": " + cause.getMessage();
    } else if (event.getLevel() != Level.ERROR) {
      return null;
    }
    return reason.lines().findFirst().orElse("");
  }

  private static String stack(ILoggingEvent event) {
    IThrowableProxy cause = event.getThrowableProxy();
    return cause == null ? null : ThrowableProxyUtil.asString(cause);
  }
}
