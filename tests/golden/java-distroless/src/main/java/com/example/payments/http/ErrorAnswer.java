package com.example.payments.http;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;
import org.springframework.boot.json.JsonWriter;
import org.springframework.http.HttpStatus;

/** Writes a problem where Jetty would write its error page. */
class ErrorAnswer implements Request.Handler {
  private static final JsonWriter<Problem> JSON =
      JsonWriter.of(members -> {
        members.add("title", Problem::title);
        members.add("status", Problem::status);
        members.add("detail", Problem::detail);
      });

  @Override
  public boolean handle(Request request, Response response, Callback callback) {
    HttpStatus status = HttpStatus.valueOf(response.getStatus());
    String problem = JSON.writeToString(Problem.of(status, null));
    response.getHeaders().put(HttpHeader.CONTENT_TYPE, Problem.MEDIA_TYPE);
    response.write(true, ByteBuffer.wrap(problem.getBytes(StandardCharsets.UTF_8)), callback);
    return true;
  }
}
