package com.example.payments.http;

import java.util.List;
import jakarta.servlet.http.HttpServletRequest;

import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpStatus;
import org.springframework.http.HttpStatusCode;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.http.converter.HttpMessageNotReadableException;
import org.springframework.http.server.PathContainer;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.RestControllerAdvice;
import org.springframework.web.context.request.ServletWebRequest;
import org.springframework.web.context.request.WebRequest;
import org.springframework.web.servlet.HandlerMapping;
import org.springframework.web.servlet.mvc.method.RequestMappingInfoHandlerMapping;
import org.springframework.web.servlet.mvc.method.annotation.ResponseEntityExceptionHandler;

/** Turns what a handler throws, and what Spring refuses on its behalf, into a problem. */
@RestControllerAdvice
class ProblemHandler extends ResponseEntityExceptionHandler {
  private final List<RequestMappingInfoHandlerMapping> mappings;

  /**
   * @param mappings those of the controllers and of Actuator
   */
  ProblemHandler(List<RequestMappingInfoHandlerMapping> mappings) {
    this.mappings = mappings;
  }

  @ExceptionHandler
  ResponseEntity<Object> refused(ProblemException e) {
    return answer(e.status(), new HttpHeaders(), e.getMessage());
  }

  @ExceptionHandler
  ResponseEntity<Object> fault(Exception e, HttpServletRequest request) {
    request.setAttribute(RequestHandler.FAULT, e);
    return answer(HttpStatus.INTERNAL_SERVER_ERROR, new HttpHeaders(), null);
  }

  @Override
  protected ResponseEntity<Object> handleExceptionInternal(
      Exception e, Object body, HttpHeaders headers, HttpStatusCode code, WebRequest request) {
    HttpStatus status = HttpStatus.valueOf(code.value());
    if (status.is5xxServerError()) {
      return fault(e, ((ServletWebRequest) request).getRequest());
    }
    rememberRoute(((ServletWebRequest) request).getRequest());
    String detail = null;
    if (e instanceof HttpMessageNotReadableException) {
      detail = "The body is not the JSON object that is expected here.";
    }
    return answer(status, headers, detail);
  }

  private static ResponseEntity<Object> answer(
      HttpStatus status, HttpHeaders headers, String detail) {
    return ResponseEntity.status(status)
        .headers(headers)
        .contentType(MediaType.APPLICATION_PROBLEM_JSON)
        .body(Problem.of(status, detail));
  }

  /** A request that is refused before it has a handler still belongs to the route of its path. */
  private void rememberRoute(HttpServletRequest request) {
    if (request.getAttribute(HandlerMapping.BEST_MATCHING_PATTERN_ATTRIBUTE) != null) {
      return;
    }
    PathContainer path = PathContainer.parsePath(request.getRequestURI());
    mappings.stream()
        .flatMap(mapping -> mapping.getHandlerMethods().keySet().stream())
        .flatMap(info -> info.getPathPatternsCondition().getPatterns().stream())
        .filter(pattern -> pattern.matches(path))
        .sorted()
        .findFirst()
        .ifPresent(pattern ->
            request.setAttribute(
                HandlerMapping.BEST_MATCHING_PATTERN_ATTRIBUTE, pattern.getPatternString()));
  }
}
