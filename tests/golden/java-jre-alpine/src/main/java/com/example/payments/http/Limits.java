package com.example.payments.http;

import java.time.Duration;

/** What a client may take of time and space. */
final class Limits {
  /** For the headers of the first request of a connection. */
  static final Duration HEADERS = Duration.ofSeconds(5);

  /** For a whole body, and for a pause while an answer is written. */
  static final Duration REQUEST = Duration.ofSeconds(15);

  /** For what is left of a body after its answer, before the connection is closed. */
  static final Duration LINGER = Duration.ofSeconds(1);

  /** For a connection without a request. */
  static final Duration IDLE = Duration.ofSeconds(60);

  static final int HEADER_BYTES = 16 * 1024;
  static final int BODY_BYTES = 1024 * 1024;

  private Limits() {}
}
