package serviceplatform;

import static java.util.concurrent.TimeUnit.SECONDS;

import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.InetAddress;
import java.net.Proxy;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.availability.AvailabilityChangeEvent;
import org.springframework.boot.availability.ReadinessState;
import org.springframework.boot.context.config.ConfigDataEnvironmentPostProcessor;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.logging.LoggingSystem;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.core.env.StandardEnvironment;

/** The commands of a service: serve until a signal, {@code version} and {@code healthcheck}. */
public final class Service {
  private static final int TIMEOUT_MILLIS = 2_000;

  private static final Logger log = LoggerFactory.getLogger(Service.class);

  private Service() {}

  /** Runs a command; without one, or with Spring's options, the application. */
  public static void run(Class<?> application, String... args) {
    if (Stream.of(args).allMatch(arg -> arg.startsWith("--"))) {
      serve(application, args);
      return;
    }
    LoggingSystem.get(Service.class.getClassLoader()).beforeInitialize();
    StandardEnvironment environment = new StandardEnvironment();
    ConfigDataEnvironmentPostProcessor.applyTo(environment);
    environment.getPropertySources().addLast(PlatformEnvironment.load());
    String name = environment.getRequiredProperty("spring.application.name");
    switch (String.join(" ", args)) {
      case "version" -> {
        String version = application.getPackage().getImplementationVersion();
        System.out.println(name + " " + Objects.requireNonNullElse(version, "dev"));
      }
      case "healthcheck" -> System.exit(healthcheck(environment));
      default -> {
        System.err.println("usage: " + name + " [version | healthcheck]");
        System.exit(2);
      }
    }
  }

  private static void serve(Class<?> application, String... args) {
    SpringApplication spring = new SpringApplication(application);
    spring.setRegisterShutdownHook(false);
    ConfigurableApplicationContext context;
    try {
      context = spring.run(args);
    } catch (RuntimeException e) {
      if (SettingsReporter.problem(e).isPresent()) {
        System.exit(2);
      }
      throw e;
    }
    Runtime.getRuntime().addShutdownHook(new Thread(() -> end(context), "shutdown"));
    Integer port = context.getEnvironment().getProperty("local.server.port", Integer.class);
    log.atInfo().addKeyValue("port", port).log("listening");
  }

  /** Drains before Spring's shutdown, which stops executors that requests may need. */
  private static void end(ConfigurableApplicationContext context) {
    if (!context.isActive()) {
      return;
    }
    int code = 1;
    try {
      AvailabilityChangeEvent.publish(context, ReadinessState.REFUSING_TRAFFIC);
      log.info("draining");
      Settings settings = Settings.of(context.getEnvironment());
      Executor delayed =
          CompletableFuture.delayedExecutor(
              settings.drainDelaySeconds(), SECONDS, task -> new Thread(task, "drain").start());
      CompletableFuture.runAsync(context::close, delayed)
          .get(settings.shutdownTimeoutSeconds(), SECONDS);
      log.info("stopped");
      code = 0;
    } catch (TimeoutException e) {
      log.error("shutdown deadline exceeded: requests in flight are cut off");
    } catch (Exception e) {
      log.error("shutdown failed", e);
    }
    // The JVM's own exit code for a signal is not 0.
    Runtime.getRuntime().halt(code);
  }

  private static int healthcheck(StandardEnvironment environment) {
    try {
      Settings.of(environment);
      Binder binder = Binder.get(environment);
      InetAddress address = binder.bind("server.address", InetAddress.class).get();
      int port = binder.bind("server.port", Integer.class).get();
      InetAddress called = address.isAnyLocalAddress() ? InetAddress.getLoopbackAddress() : address;
      URI url = new URI("http", null, called.getHostAddress(), port, "/livez", null, null);
      var connection = (HttpURLConnection) url.toURL().openConnection(Proxy.NO_PROXY);
      connection.setConnectTimeout(TIMEOUT_MILLIS);
      connection.setReadTimeout(TIMEOUT_MILLIS);
      int status = connection.getResponseCode();
      if (status == HttpURLConnection.HTTP_OK) {
        return 0;
      }
      System.err.println("healthcheck: " + url + ": status " + status);
      return 1;
    } catch (SettingsException e) {
      System.err.println(e.getMessage());
      return 2;
    } catch (IOException | URISyntaxException e) {
      System.err.println("healthcheck: " + e.getMessage());
      return 1;
    }
  }
}
