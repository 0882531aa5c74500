package com.example.payments.http;

import java.util.Locale;
import java.util.Set;

import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.server.Request;

/** A request as the routes should see it. */
class RoutedRequest extends Request.Wrapper {
  private static final String JSON = "application/json";

  /** Answered by HttpServlet and Spring on their own, without a look at the routes. */
  private static final Set<String> AUTOMATIC = Set.of("OPTIONS", "TRACE");

  private final String method;
  private final HttpFields headers;

  RoutedRequest(Request request) {
    super(request);
    method = method(request.getMethod());
    headers = headers(request.getHeaders());
  }

  @Override
  public String getMethod() {
    return method;
  }

  @Override
  public HttpFields getHeaders() {
    return headers;
  }

  /** A method that no route has, in place of one that is answered automatically. */
  private static String method(String method) {
    return AUTOMATIC.contains(method) ? method.toLowerCase(Locale.ROOT) : method;
  }

  /**
   * A route has one type of answer, whatever a client accepts. JSON has one encoding, and its media
   * type has no parameters: what a client says is ignored.
   */
  private static HttpFields headers(HttpFields headers) {
    HttpFields.Mutable routed = HttpFields.build(headers).remove(HttpHeader.ACCEPT);
    String type = routed.get(HttpHeader.CONTENT_TYPE);
    if (type != null && type.split(";", 2)[0].strip().equalsIgnoreCase(JSON)) {
      routed.put(HttpHeader.CONTENT_TYPE, JSON);
    }
    return routed.asImmutable();
  }
}
