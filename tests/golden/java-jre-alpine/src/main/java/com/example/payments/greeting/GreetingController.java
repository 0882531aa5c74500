package com.example.payments.greeting;

import jakarta.validation.Valid;
import jakarta.validation.constraints.NotNull;
import jakarta.validation.constraints.Size;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;

/** The example: copy its shape, then delete it. */
@RestController
@RequestMapping("/v1/greetings")
class GreetingController {
  record GreetingRequest(@NotNull @Size(min = 1, max = 100) String name) {}

  record Greeting(String message) {}

  @PostMapping
  Greeting greet(@Valid @RequestBody GreetingRequest request) {
    return new Greeting("Hello, " + request.name() + "!");
  }
}
