package serviceplatform;

import jakarta.servlet.RequestDispatcher;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.net.URI;
import org.springframework.boot.webmvc.error.ErrorController;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ProblemDetail;
import org.springframework.http.ResponseEntity;
import org.springframework.stereotype.Controller;
import org.springframework.web.bind.annotation.RequestMapping;

/** The problem documents of errors that no handler has answered. */
@Controller
final class ProblemController implements ErrorController {
  @RequestMapping("${spring.web.error.path:/error}")
  ResponseEntity<ProblemDetail> problem(HttpServletRequest request, HttpServletResponse response) {
    if (response.isCommitted()) {
      return null;
    }
    Object code = request.getAttribute(RequestDispatcher.ERROR_STATUS_CODE);
    Object path = request.getAttribute(RequestDispatcher.ERROR_REQUEST_URI);
    if (code == null) {
      // Nothing has failed: this is not a page to visit.
      return answer(HttpStatus.NOT_FOUND.value(), request.getRequestURI());
    }
    return answer((int) code, String.valueOf(path));
  }

  private static ResponseEntity<ProblemDetail> answer(int status, String path) {
    ProblemDetail problem = ProblemDetail.forStatus(status);
    problem.setDetail(
        status < 500 ? "The request was refused." : "The service could not answer the request.");
    problem.setInstance(URI.create(path));
    return ResponseEntity.status(status)
        .contentType(MediaType.APPLICATION_PROBLEM_JSON)
        .body(problem);
  }
}
