package serviceplatform;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;
import org.springframework.web.servlet.HandlerExceptionResolver;
import org.springframework.web.servlet.ModelAndView;

/** Breaks the connection of an answer that fails after it has begun: Spring would end it well. */
@Order(Ordered.HIGHEST_PRECEDENCE)
final class FirstResolver implements HandlerExceptionResolver {
  @Override
  public ModelAndView resolveException(
      HttpServletRequest request, HttpServletResponse response, Object handler, Exception e) {
    if (response.isCommitted()) {
      throw new IllegalStateException("answer cut short", e);
    }
    return null;
  }
}
