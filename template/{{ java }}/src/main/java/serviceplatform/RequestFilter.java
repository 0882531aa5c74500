package serviceplatform;

import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.MDC;
import org.slf4j.event.Level;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.availability.ApplicationAvailability;
import org.springframework.boot.availability.ReadinessState;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpStatus;
import org.springframework.util.AlternativeJdkIdGenerator;
import org.springframework.util.IdGenerator;
import org.springframework.util.StringUtils;
import org.springframework.util.unit.DataSize;
import org.springframework.web.filter.OncePerRequestFilter;
import org.springframework.web.server.ResponseStatusException;
import org.springframework.web.servlet.DispatcherServlet;
import org.springframework.web.servlet.HandlerExceptionResolver;
import org.springframework.web.servlet.ModelAndView;
import org.springframework.web.util.ContentCachingRequestWrapper;
import org.springframework.web.util.DisconnectedClientHelper;

/** What every request has: an id, a line in the log, a limit to its body and a clear end. */
@Order(Ordered.HIGHEST_PRECEDENCE + 2) // after ServerHttpObservationFilter
final class RequestFilter extends OncePerRequestFilter implements HandlerExceptionResolver {
  private static final Logger log = LoggerFactory.getLogger(RequestFilter.class);

  private static final String HEADER = "X-Request-Id";
  private static final IdGenerator IDS = new AlternativeJdkIdGenerator();
  private static final Pattern ID = Pattern.compile("[A-Za-z0-9._-]{1,128}");
  private static final Pattern TRACEPARENT =
      Pattern.compile(
          "(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?");
  private static final Set<String> PROBES = Set.of("/livez", "/readyz", "/metrics");
  private static final String BEGAN = RequestFilter.class.getName() + ".BEGAN";

  private final ApplicationAvailability availability;
  private final long maxBodySize;

  RequestFilter(
      ApplicationAvailability availability,
      @Value("${serviceplatform.max-body-size}") DataSize maxBodySize) {
    this.availability = availability;
    this.maxBodySize = maxBodySize.toBytes();
  }

  /** An answer that is given on another thread comes back here at its end. */
  @Override
  protected boolean shouldNotFilterAsyncDispatch() {
    return false;
  }

  @Override
  protected void doFilterInternal(
      HttpServletRequest request, HttpServletResponse response, FilterChain chain)
      throws ServletException, IOException {
    if (request.getAttribute(BEGAN) == null) {
      request.setAttribute(BEGAN, System.nanoTime());
      response.setHeader(HEADER, requestId(request.getHeader(HEADER)));
      if (availability.getReadinessState() == ReadinessState.REFUSING_TRAFFIC) {
        response.setHeader(HttpHeaders.CONNECTION, "close");
      }
    }
    Throwable failure = null;
    MDC.put("request_id", response.getHeader(HEADER));
    String traceId = traceId(request.getHeader("traceparent"));
    if (traceId != null) {
      MDC.put("trace_id", traceId);
    }
    try {
      if (request.getContentLengthLong() > maxBodySize && !isUpload(request)) {
        response.sendError(HttpStatus.CONTENT_TOO_LARGE.value());
      } else {
        chain.doFilter(limited(request), response);
      }
    } catch (ServletException | IOException | RuntimeException | Error e) {
      failure = e;
      throw e;
    } finally {
      if (!isAsyncStarted(request)) {
        log(request, response, failure);
      }
      MDC.remove("request_id");
      MDC.remove("trace_id");
    }
  }

  /** Breaks the connection of an answer that fails after it has begun: Spring would end it well. */
  @Override
  public ModelAndView resolveException(
      HttpServletRequest request, HttpServletResponse response, Object handler, Exception e) {
    if (response.isCommitted()) {
      throw new IllegalStateException("answer cut short", e);
    }
    return null;
  }

  private static String requestId(String sent) {
    return sent != null && ID.matcher(sent).matches() ? sent : IDS.generateId().toString();
  }

  private static String traceId(String traceparent) {
    // With tracing the observation has put a traceId there, which is logged by the same name.
    if (traceparent == null || MDC.get("traceId") != null) {
      return null;
    }
    Matcher matcher = TRACEPARENT.matcher(traceparent);
    return matcher.matches() ? matcher.group(1) : null;
  }

  /** Spring has limits of its own for the parts of an upload. */
  private static boolean isUpload(HttpServletRequest request) {
    return StringUtils.startsWithIgnoreCase(request.getContentType(), "multipart/form-data");
  }

  /** Counts a body whose length is not declared. */
  private HttpServletRequest limited(HttpServletRequest request) {
    if (request.getContentLengthLong() >= 0 || isUpload(request)) {
      return request;
    }
    return new ContentCachingRequestWrapper(request, Math.toIntExact(maxBodySize)) {
      @Override
      protected void handleContentOverflow(int limit) {
        throw new ResponseStatusException(HttpStatus.CONTENT_TOO_LARGE);
      }
    };
  }

  private static void log(
      HttpServletRequest request, HttpServletResponse response, Throwable thrown) {
    Throwable failure =
        thrown != null
            ? thrown
            : (Throwable) request.getAttribute(DispatcherServlet.EXCEPTION_ATTRIBUTE);
    int status =
        thrown != null && !response.isCommitted()
            ? HttpStatus.INTERNAL_SERVER_ERROR.value()
            : response.getStatus();
    boolean gone =
        failure != null && DisconnectedClientHelper.isClientDisconnectedException(failure);
    boolean fault = (thrown != null || status >= 500) && !gone;
    boolean probe = PROBES.contains(request.getRequestURI()) && failure == null;
    Level level = probe ? Level.DEBUG : fault ? Level.ERROR : Level.INFO;
    long nanos = System.nanoTime() - (long) request.getAttribute(BEGAN);
    log.atLevel(level)
        .addKeyValue("method", request.getMethod())
        .addKeyValue("path", request.getRequestURI())
        .addKeyValue("status", status)
        .addKeyValue("duration_ms", nanos / 1_000 / 1e3)
        .setCause(fault ? failure : null)
        .log("request");
  }
}
