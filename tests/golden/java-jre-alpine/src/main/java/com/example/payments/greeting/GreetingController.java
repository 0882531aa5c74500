package com.example.payments.greeting;

import org.springframework.http.MediaType;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RestController;

import com.example.payments.http.ProblemException;

/** The example endpoint. */
@RestController
class GreetingController {
  private static final int MAX_NAME = 100;

  record Request(String name) {}

  record Answer(String message) {}

  @PostMapping(path = "/v1/greetings", consumes = MediaType.APPLICATION_JSON_VALUE)
  Answer greet(@RequestBody Request request) {
    return new Answer("Hello, " + checked(request.name()) + "!");
  }

  private static String checked(String name) {
    if (name == null) {
      throw ProblemException.badRequest("The body needs a member name, a string.");
    }
    int length = name.codePointCount(0, name.length());
    if (length < 1 || length > MAX_NAME) {
      throw ProblemException.badRequest("The name must have 1 to 100 characters.");
    }
    if (name.codePoints().anyMatch(GreetingController::isHalfPair)) {
      throw ProblemException.badRequest("The name holds half a surrogate pair.");
    }
    return name;
  }

  private static boolean isHalfPair(int codePoint) {
    return codePoint >= Character.MIN_SURROGATE && codePoint <= Character.MAX_SURROGATE;
  }
}
