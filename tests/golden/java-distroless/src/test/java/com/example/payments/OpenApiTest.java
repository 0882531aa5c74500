package com.example.payments;

import static org.assertj.core.api.Assertions.assertThat;

import io.swagger.v3.oas.models.OpenAPI;
import io.swagger.v3.oas.models.info.Info;
import io.swagger.v3.oas.models.servers.Server;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.boot.test.context.TestConfiguration;
import org.springframework.boot.webmvc.test.autoconfigure.AutoConfigureMockMvc;
import org.springframework.context.annotation.Bean;
import org.springframework.test.web.servlet.assertj.MockMvcTester;

/** Compares openapi.json with the routes; `make openapi` writes it. */
@SpringBootTest(
    properties = {
      "springdoc.default-produces-media-type=application/json",
      "springdoc.writer-with-default-pretty-printer=true",
      "springdoc.writer-with-order-by-keys=true"
    })
@AutoConfigureMockMvc
class OpenApiTest {
  private static final Path FILE = Path.of("openapi.json");

  @TestConfiguration
  static class Document {
    @Bean
    OpenAPI openApi() {
      return new OpenAPI()
          .info(new Info().title("payments").version("1"))
          .servers(List.of(new Server().url("/")));
    }
  }

  @Test
  void describesTheRoutes(@Autowired MockMvcTester mvc) throws IOException {
    String document =
        mvc.get().uri("/v3/api-docs").exchange().getResponse().getContentAsString() + "\n";
    if (Boolean.getBoolean("openapi.write")) {
      Files.writeString(FILE, document);
    }
    assertThat(Files.readString(FILE)).as("run `make openapi`").isEqualTo(document);
  }
}
