package serviceplatform;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.io.UncheckedIOException;
import org.springframework.core.NestedExceptionUtils;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;
import org.springframework.web.servlet.HandlerExceptionResolver;
import org.springframework.web.servlet.ModelAndView;

/** Two kinds of failure that Spring would answer otherwise. */
@Order(Ordered.HIGHEST_PRECEDENCE)
final class FirstResolver implements HandlerExceptionResolver {
  @Override
  public ModelAndView resolveException(
      HttpServletRequest request, HttpServletResponse response, Object handler, Exception e) {
    if (response.isCommitted()) {
      // Spring would end the answer as if it were whole; so the connection breaks.
      throw new IllegalStateException("answer cut short", e);
    }
    if (NestedExceptionUtils.getMostSpecificCause(e) instanceof BodyTooLargeException tooLarge) {
      // What reads the body has wrapped it.
      try {
        response.sendError(tooLarge.getStatusCode().value());
        return new ModelAndView();
      } catch (IOException failed) {
        throw new UncheckedIOException(failed);
      }
    }
    return null;
  }
}
