package serviceplatform;

import org.springframework.http.HttpStatus;
import org.springframework.web.server.ResponseStatusException;

/** A body without a declared length has passed the limit. */
final class BodyTooLargeException extends ResponseStatusException {
  private static final long serialVersionUID = 1L;

  BodyTooLargeException() {
    super(HttpStatus.CONTENT_TOO_LARGE);
  }
}
