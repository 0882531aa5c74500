package serviceplatform;

import ch.qos.logback.classic.Level;
import java.time.OffsetDateTime;
import java.util.Locale;
import org.springframework.boot.json.JsonWriter.Members;
import org.springframework.boot.json.JsonWriter.ValueProcessor;
import org.springframework.boot.logging.structured.StructuredLoggingJsonMembersCustomizer;

/** Levels in lower case and times in UTC, as the platform's services log them. */
final class LogMembers implements StructuredLoggingJsonMembersCustomizer<Object> {
  @Override
  public void customize(Members<Object> members) {
    members.applyingValueProcessor(
        ValueProcessor.<Object>of(Level.class, level -> level.toString().toLowerCase(Locale.ROOT)));
    members.applyingValueProcessor(
        ValueProcessor.of(String.class, time -> OffsetDateTime.parse(time).toInstant().toString())
            .whenHasUnescapedPath("@timestamp"));
  }
}
