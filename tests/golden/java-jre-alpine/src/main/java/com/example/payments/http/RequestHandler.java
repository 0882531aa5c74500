package com.example.payments.http;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Objects;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
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

  /** The request attribute that holds why an answer ends before it is complete. */
  static final String CUT_SHORT = RequestHandler.class.getName() + ".cutShort";

  private static final Pattern ID = Pattern.compile("[A-Za-z0-9._-]{1,128}");
  private static final Set<String> PROBES = Set.of("/livez", "/readyz");

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
    Exchange exchange = new Exchange(request, response, callback, id);
    request.addHttpStreamWrapper(exchange::watch);
    traffic.begin();
    try {
      HttpURI uri = request.getHttpURI();
      if (uri.getCanonicalPath() == null || uri.hasViolations()) {
        Response.writeError(request, response, exchange, HttpStatus.NOT_FOUND.value());
      } else if (!super.handle(new RoutedRequest(request), response, exchange)) {
        Response.writeError(request, response, exchange, HttpStatus.NOT_FOUND.value());
      }
    } catch (Exception e) {
      request.setAttribute(FAULT, e);
      Response.writeError(request, response, exchange, e);
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
    Callback answered = Callback.from(() -> record(request, response, id, null), callback);
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

  private void record(Request request, Response response, String id, Throwable cutShort) {
    long nanos = System.nanoTime() - request.getBeginNanoTime();
    String method = request.getMethod();
    Object pattern = request.getAttribute(HandlerMapping.BEST_MATCHING_PATTERN_ATTRIBUTE);
    String route = Objects.toString(pattern, "unmatched");
    int status = response.getStatus();
    metrics.count(method, route, status, Duration.ofNanos(nanos));

    Level level = cutShort == null ? level(route, status) : Level.ERROR;
    LoggingEventBuilder line =
        log.atLevel(level)
            .addKeyValue("method", method)
            .addKeyValue("path", request.getHttpURI().getPath())
            .addKeyValue("status", status)
            .addKeyValue("duration_ms", Math.round(nanos / 1e3) / 1e3)
            .addKeyValue("request_id", id);
    if (level == Level.ERROR) {
      Throwable fault = cutShort == null ? fault(request) : cutShort;
      line = fault == null ? line.addKeyValue("error", "status " + status) : line.setCause(fault);
    }
    line.log(cutShort == null ? "request" : "answer cut short");
  }

  /** Keeps probes and scrapes out of the log, and an unready probe out of the errors. */
  private static Level level(String route, int status) {
    if (PROBES.contains(route)) {
      return Level.DEBUG;
    }
    if (status >= 500) {
      return Level.ERROR;
    }
    return route.equals("/metrics") ? Level.DEBUG : Level.INFO;
  }

  private static Throwable fault(Request request) {
    Object fault = request.getAttribute(FAULT);
    if (fault == null) {
      fault = request.getAttribute(RequestDispatcher.ERROR_EXCEPTION);
    }
    return (Throwable) fault;
  }

  /** One request, to the end of its answer and of its body. */
  private final class Exchange extends Callback.Nested {
    private final Request request;
    private final Response response;
    private final String id;
    private final EndPoint endPoint;

    /** When, by the clock of System.nanoTime, the body has to be there. */
    private volatile long bodyDue = System.nanoTime() + Limits.REQUEST.toNanos();

    /** Whether a part of the answer is on its way to the client, or did not reach it. */
    private volatile boolean unsent;

    Exchange(Request request, Response response, Callback callback, String id) {
      super(callback);
      this.request = request;
      this.response = response;
      this.id = id;
      endPoint = request.getConnectionMetaData().getConnection().getEndPoint();
      endPoint.setIdleTimeout(Limits.REQUEST.toMillis());
    }

    HttpStream watch(HttpStream stream) {
      return new Stream(stream);
    }

    @Override
    public void succeeded() {
      end();
      Callback idle =
          Callback.from(() -> endPoint.setIdleTimeout(Limits.IDLE.toMillis()), getCallback());
      // A connection that is closed with a body on its way would take the answer with it.
      bodyDue = System.nanoTime() + Limits.LINGER.toNanos();
      Content.Source.consumeAll(request, idle);
    }

    @Override
    public void failed(Throwable cause) {
      if (request.getAttribute(CUT_SHORT) == null) {
        request.setAttribute(CUT_SHORT, cause);
      }
      end();
      super.failed(cause);
    }

    private void end() {
      // A client that has left or does not read is no fault of the service.
      record(request, response, id, unsent ? null : cutShort());
      traffic.end();
    }

    private Throwable cutShort() {
      return (Throwable) request.getAttribute(CUT_SHORT);
    }

    private final class Stream extends HttpStream.Wrapper {
      Stream(HttpStream stream) {
        super(stream);
      }

      @Override
      public Content.Chunk read() {
        endPoint.setIdleTimeout(Limits.REQUEST.toMillis());
        Content.Chunk chunk = super.read();
        if (chunk == null || chunk.isLast() || bodyDue - System.nanoTime() > 0) {
          return chunk;
        }
        chunk.release();
        return Content.Chunk.from(new TimeoutException("the body did not arrive in time"));
      }

      @Override
      public void demand() {
        long left = TimeUnit.NANOSECONDS.toMillis(bodyDue - System.nanoTime());
        endPoint.setIdleTimeout(Math.max(1, left));
        super.demand();
      }

      /** Decides about the end of the connection when the answer begins or is cut short. */
      @Override
      public void send(
          MetaData.Request request,
          MetaData.Response response,
          boolean last,
          ByteBuffer content,
          Callback callback) {
        Throwable cutShort = cutShort();
        if (response == null && cutShort != null) {
          // Without the end that is missing the client would take the half for the whole.
          callback.failed(cutShort);
          return;
        }
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
        endPoint.setIdleTimeout(Limits.REQUEST.toMillis());
        unsent = true;
        Callback sent =
            new Callback.Nested(callback) {
              @Override
              public void succeeded() {
                unsent = false;
                super.succeeded();
              }
            };
        super.send(request, head, last, content, sent);
      }
    }
  }
}
