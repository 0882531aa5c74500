package com.example.payments;

import jakarta.validation.Valid;
import jakarta.validation.constraints.NotEmpty;
import jakarta.validation.constraints.Size;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RestController;

/** The endpoint on Spring Boot's web starter alone. */
@SpringBootApplication
@RestController
public class PaymentsApplication {
  record Greeted(@NotEmpty @Size(max = 100) String name) {}

  record Greeting(String message) {}

  public static void main(String[] args) {
    SpringApplication.run(PaymentsApplication.class, args);
  }

  @PostMapping("/v1/greetings")
  Greeting greet(@Valid @RequestBody Greeted greeted) {
    return new Greeting("Hello, " + greeted.name() + "!");
  }
}
