package com.example.payments.greeting;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.boot.webmvc.test.autoconfigure.WebMvcTest;
import org.springframework.http.MediaType;
import org.springframework.test.web.servlet.assertj.MockMvcTester;
import org.springframework.test.web.servlet.assertj.MvcTestResult;

import static org.assertj.core.api.Assertions.assertThat;

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
  void ignoresOtherMembers() {
    assertThat(post("{\"title\":null,\"name\":\"Ada\",\"tags\":[1]}")).hasStatus(200);
  }

  @Test
  void countsCodePoints() {
    assertThat(post("{\"name\":\"" + "𝄞".repeat(100) + "\"}")).hasStatus(200);
    assertThat(post("{\"name\":\"" + "𝄞".repeat(101) + "\"}")).hasStatus(400);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "{",
        "{} x",
        "[]",
        "null",
        "\"Ada\"",
        "{}",
        "{\"name\":null}",
        "{\"name\":5}",
        "{\"name\":1.5}",
        "{\"name\":true}",
        "{\"name\":[\"Ada\"]}",
        "{\"name\":\"\"}",
        "{\"name\":\"\\ud834\"}",
        "{\"name\":\"Ada\"} x"
      })
  void refusesOtherBodies(String body) {
    assertThat(post(body))
        .hasStatus(400)
        .hasContentType(MediaType.APPLICATION_PROBLEM_JSON)
        .bodyJson()
        .hasPathSatisfying("title", title -> assertThat(title).isEqualTo("Bad Request"))
        .hasPathSatisfying("status", status -> assertThat(status).isEqualTo(400));
  }

  @Test
  void refusesOtherMediaTypes() {
    MvcTestResult result =
        mvc.post().uri("/v1/greetings").contentType(MediaType.TEXT_PLAIN).content("Ada").exchange();
    assertThat(result).hasStatus(415).hasContentType(MediaType.APPLICATION_PROBLEM_JSON);
  }

  private MvcTestResult post(String body) {
    return mvc.post()
        .uri("/v1/greetings")
        .contentType(MediaType.APPLICATION_JSON)
        .content(body)
        .exchange();
  }
}
