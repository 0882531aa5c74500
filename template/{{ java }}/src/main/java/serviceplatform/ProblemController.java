package serviceplatform;

import jakarta.servlet.RequestDispatcher;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.webmvc.error.ErrorController;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ProblemDetail;
import org.springframework.http.ResponseEntity;
import org.springframework.stereotype.Controller;
import org.springframework.web.bind.annotation.RequestMapping;

/** The problem documents of errors that no handler has answered. */
@Controller
@ConditionalOnMissingBean(ErrorController.class)
final class ProblemController implements ErrorController {
  /** Without an instance: Spring would say /error. */
  record Problem(String title, int status, String detail) {}

  @RequestMapping("${spring.web.error.path:/error}")
  ResponseEntity<Problem> problem(HttpServletRequest request, HttpServletResponse response) {
    if (response.isCommitted()) {
      return null;
    }
    // Without a code nothing has failed: this is not a page to visit.
    Object code = request.getAttribute(RequestDispatcher.ERROR_STATUS_CODE);
    int status = code == null ? HttpStatus.NOT_FOUND.value() : (int) code;
    String detail =
        status < 500 ? "The request was refused." : "The service could not answer the request.";
    return ResponseEntity.status(status)
        .contentType(MediaType.APPLICATION_PROBLEM_JSON)
        .body(new Problem(ProblemDetail.forStatus(status).getTitle(), status, detail));
  }
}
