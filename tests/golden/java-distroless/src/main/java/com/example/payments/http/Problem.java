package com.example.payments.http;

import org.springframework.http.HttpStatus;

/** The body of every error answer: an RFC 9457 problem. */
record Problem(String title, int status, String detail) {
  static final String MEDIA_TYPE = "application/problem+json";

  /** Without a detail of its own the problem gets the one of its status. */
  static Problem of(HttpStatus status, String detail) {
    String text = detail == null ? general(status) : detail;
    return new Problem(status.getReasonPhrase(), status.value(), text);
  }

  private static String general(HttpStatus status) {
    return switch (status) {
      case BAD_REQUEST -> "The request cannot be understood.";
      case NOT_FOUND -> "There is nothing at this path.";
      case METHOD_NOT_ALLOWED -> "This path does not take this method.";
      case CONTENT_TOO_LARGE -> "The body is larger than 1 MiB.";
      case UNSUPPORTED_MEDIA_TYPE -> "The body must be application/json.";
      case INTERNAL_SERVER_ERROR -> "The service failed to answer.";
      default -> status.getReasonPhrase() + ".";
    };
  }
}
