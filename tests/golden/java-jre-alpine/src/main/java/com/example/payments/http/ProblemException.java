package com.example.payments.http;

import org.springframework.http.HttpStatus;

/** Tells the client what is wrong with its request. */
public final class ProblemException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final HttpStatus status;

  /**
   * @param detail one sentence for the client, or null for the general one of the status
   */
  public ProblemException(HttpStatus status, String detail) {
    super(detail);
    this.status = status;
  }

  public static ProblemException badRequest(String detail) {
    return new ProblemException(HttpStatus.BAD_REQUEST, detail);
  }

  HttpStatus status() {
    return status;
  }
}
