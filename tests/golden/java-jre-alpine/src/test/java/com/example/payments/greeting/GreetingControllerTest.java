package com.example.payments.greeting;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.boot.webmvc.test.autoconfigure.WebMvcTest;
import org.springframework.http.MediaType;
import org.springframework.test.web.servlet.assertj.MockMvcTester;
import org.springframework.test.web.servlet.assertj.MvcTestResult;

@WebMvcTest(GreetingController.class)
class GreetingControllerTest {
  @Autowired private MockMvcTester mvc;

  @Test
  void greets() {
    assertThat(post("{\"name\":\"Ada\"}"))
        .hasStatus(200)
        .hasContentType(MediaType.APPLICATION_JSON)
        .bodyJson()
        .isStrictlyEqualTo("{\"message\":\"Hello, Ada!\"}");
  }

  @Test
  void refusesALongName() {
    assertThat(post("{\"name\":\"" + "a".repeat(100) + "\"}")).hasStatus(200);
    assertThat(post("{\"name\":\"" + "a".repeat(101) + "\"}")).hasStatus(400);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "{", "[]", "{}", "{\"name\":null}", "{\"name\":\"\"}"})
  void refusesOtherBodies(String body) {
    assertThat(post(body))
        .hasStatus(400)
        .hasContentType(MediaType.APPLICATION_PROBLEM_JSON)
        .bodyJson()
        .extractingPath("$.title")
        .isEqualTo("Bad Request");
  }

  private MvcTestResult post(String body) {
    return mvc.post()
        .uri("/v1/greetings")
        .contentType(MediaType.APPLICATION_JSON)
        .content(body)
        .exchange();
  }
}
