package com.example.payments.http;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Objects;
import java.util.Set;
import java.util.UUID;
import java.util.regex.Pattern;
import jakarta.servlet.RequestDispatcher;

import org.eclipse.jetty.http.HttpField;
import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.http.HttpHeaderValue;
import org.eclipse.jetty.http.HttpURI;
import org.eclipse.jetty.http.MetaData;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.io.EndPoint;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.HttpStream;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.handler.ErrorHandler;
import org.eclipse.jetty.util.Callback;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;
import org.slf4j.spi.LoggingEventBuilder;
import org.springframework.http.HttpStatus;
import org.springframework.stereotype.Component;
import org.springframework.web.servlet.HandlerMapping;

import com.example.payments.metrics.Metrics;
import com.example.payments.server.Traffic;

/**
 * What every request shares: its id, its log line, its metrics, its limits, and the end of its
 * connection while the service drains. Around the servlets and not a filter in them, to see what
 * they refuse as well.
 */
@Component
class RequestHandler extends Handler.Wrapper {
  static final String ID_HEADER = "X-Request-Id";

  /** The request attribute that holds the reason of a 500. */
  static final String FAULT = RequestHandler.class.getName() + ".fault";

  private static final Pattern ID = Pattern.compile("[A-Za-z0-9._-]{1,128}");
  private static final Set<String> PROBES = Set.of("/livez", "/readyz", "/metrics");

  private static final HttpField CLOSE =
      new HttpField(HttpHeader.CONNECTION, HttpHeaderValue.CLOSE.asString());

  private static final Logger log = LoggerFactory.getLogger(RequestHandler.class);

  private final Traffic traffic;
  private final Metrics metrics;
  private final ErrorAnswer errors = new ErrorAnswer();

  RequestHandler(Traffic traffic, Metrics metrics) {
    this.traffic = traffic;
    this.metrics = metrics;
  }

  @Override
  public boolean handle(Request request, Response response, Callback callback) {
    String id = id(request.getHeaders().get(ID_HEADER));
    response.getHeaders().put(ID_HEADER, id);
    request.addHttpStreamWrapper(ClosingStream::new);
    EndPoint endPoint = request.getConnectionMetaData().getConnection().getEndPoint();
    endPoint.setIdleTimeout(Limits.REQUEST.toMillis());
    traffic.begin();
    Callback answered =
        new Callback.Nested(callback) {
          @Override
          public void succeeded() {
            end();
            Callback idle =
                Callback.from(() -> endPoint.setIdleTimeout(Limits.IDLE.toMillis()), getCallback());
            // A connection that is closed with a body on its way would take the answer with it.
            Content.Source.consumeAll(request, idle);
          }

          @Override
          public void failed(Throwable cause) {
            end();
            super.failed(cause);
          }

          private void end() {
            record(request, response, id);
            traffic.end();
          }
        };
    try {
      HttpURI uri = request.getHttpURI();
      if (uri.getCanonicalPath() == null || uri.hasViolations()) {
        Response.writeError(request, response, answered, HttpStatus.NOT_FOUND.value());
      } else if (!super.handle(new RoutedRequest(request), response, answered)) {
        Response.writeError(request, response, answered, HttpStatus.NOT_FOUND.value());
      }
    } catch (Exception e) {
      request.setAttribute(FAULT, e);
      Response.writeError(request, response, answered, e);
    }
    return true;
  }

  /** Answers what Jetty refuses before it is a request for a handler. */
  boolean refused(Request request, Response response, Callback callback) {
    if (response.getHeaders().contains(ID_HEADER)) {
      return errors.handle(request, response, callback);
    }
    String id = id(request.getHeaders().get(ID_HEADER));
    response.getHeaders().put(ID_HEADER, id);
    if (isBadPath(request)) {
      response.setStatus(HttpStatus.NOT_FOUND.value());
    } else if (response.getStatus() >= 500) {
      response.setStatus(HttpStatus.BAD_REQUEST.value());
    }
    Callback answered = Callback.from(() -> record(request, response, id), callback);
    return errors.handle(request, response, answered);
  }

  private static String id(String given) {
    if (given != null && ID.matcher(given).matches()) {
      return given;
    }
    return UUID.randomUUID().toString();
  }

  /** A path such as /%2e%2e, which leads out of the root, is one that does not exist. */
  private static boolean isBadPath(Request request) {
    Throwable refusal = (Throwable) request.getAttribute(ErrorHandler.ERROR_EXCEPTION);
    return refusal != null
        && refusal.getCause() instanceof IllegalArgumentException
        && request.getHeaders().size() == 0;
  }

  private void record(Request request, Response response, String id) {
    long nanos = System.nanoTime() - request.getBeginNanoTime();
    String method = request.getMethod();
    Object pattern = request.getAttribute(HandlerMapping.BEST_MATCHING_PATTERN_ATTRIBUTE);
    String route = Objects.toString(pattern, "unmatched");
    int status = response.getStatus();
    metrics.count(method, route, status, Duration.ofNanos(nanos));

    Level level = Level.INFO;
    if (PROBES.contains(route)) {
      level = Level.DEBUG;
    } else if (status >= 500) {
      level = Level.ERROR;
    }
    LoggingEventBuilder line =
        log.atLevel(level)
            .addKeyValue("method", method)
            .addKeyValue("path", request.getHttpURI().getPath())
            .addKeyValue("status", status)
            .addKeyValue("duration_ms", Math.round(nanos / 1e3) / 1e3)
            .addKeyValue("request_id", id);
    if (level == Level.ERROR) {
      Throwable fault = fault(request);
      line = fault == null ? line.addKeyValue("error", "status " + status) : line.setCause(fault);
    }
    line.log("request");
  }

  private static Throwable fault(Request request) {
    Object fault = request.getAttribute(FAULT);
    if (fault == null) {
      fault = request.getAttribute(RequestDispatcher.ERROR_EXCEPTION);
    }
    return (Throwable) fault;
  }

  /** Decides about the end of the connection when the answer begins, not when the request does. */
  private final class ClosingStream extends HttpStream.Wrapper {
    ClosingStream(HttpStream stream) {
      super(stream);
    }

    @Override
    public void send(
        MetaData.Request request,
        MetaData.Response response,
        boolean last,
        ByteBuffer content,
        Callback callback) {
      MetaData.Response head = response;
      if (response != null && traffic.draining()) {
        HttpFields fields = HttpFields.build(response.getHttpFields()).put(CLOSE);
        head =
            new MetaData.Response(
                response.getStatus(),
                response.getReason(),
                response.getHttpVersion(),
                fields,
                response.getContentLength(),
                response.getTrailersSupplier());
      }
      super.send(request, head, last, content, callback);
    }
  }
}
