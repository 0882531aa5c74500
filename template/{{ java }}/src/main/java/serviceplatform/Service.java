package serviceplatform;

import java.io.IOException;
import java.lang.reflect.Method;
import java.net.HttpURLConnection;
import java.net.InetAddress;
import java.net.Proxy;
import java.net.URI;
import java.net.URISyntaxException;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.availability.AvailabilityChangeEvent;
import org.springframework.boot.availability.ReadinessState;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.logging.LoggingSystem;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.core.env.StandardEnvironment;

/** The commands of a service: serve until a signal, {@code version} and {@code healthcheck}. */
public final class Service {
  private static final int TIMEOUT_MILLIS = 2_000;

  private static final Logger log = LoggerFactory.getLogger(Service.class);

  private Service() {}

  /** Runs a command; without one, or with Spring's --name=value, the application. */
  public static void run(Class<?> application, String... args) {
    if (Stream.of(args).allMatch(arg -> arg.matches("--[^=]+=.*"))) {
      serve(application, args);
      return;
    }
    StandardEnvironment environment = new StandardEnvironment();
    for (String properties : List.of("application.properties", PlatformEnvironment.PROPERTIES)) {
      environment.getPropertySources().addLast(PlatformEnvironment.load(properties));
    }
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
    ConfigurableApplicationContext context;
    try {
      context = SpringApplication.run(application, args);
    } catch (RuntimeException e) {
      if (SettingsReporter.problem(e).isPresent()) {
        System.exit(2);
      }
      throw e;
    }
    Integer port = context.getEnvironment().getProperty("local.server.port", Integer.class);
    log.atInfo().addKeyValue("port", port).log("listening");
    AtomicBoolean draining = new AtomicBoolean();
    for (String signal : List.of("TERM", "INT")) {
      handle(signal, () -> end(context, draining));
    }
  }

  /** Takes a signal from the JVM, whose exit code for it is not 0. */
  private static void handle(String signal, Runnable action) {
    try {
      // By reflection: javac warns of sun.misc, and no option turns that off.
      Class<?> type = Class.forName("sun.misc.Signal");
      Class<?> handler = Class.forName("sun.misc.SignalHandler");
      Object proxy =
          java.lang.reflect.Proxy.newProxyInstance(
              Service.class.getClassLoader(),
              new Class<?>[] {handler},
              (self, method, arguments) -> {
                action.run();
                return null;
              });
      Method handle = type.getMethod("handle", type, handler);
      handle.invoke(null, type.getConstructor(String.class).newInstance(signal), proxy);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException("the module jdk.unsupported is missing", e);
    }
  }

  /** Drains, and cuts off at the deadline what is left; a second signal does so at once. */
  private static void end(ConfigurableApplicationContext context, AtomicBoolean draining) {
    try {
      if (draining.compareAndSet(false, true)) {
        Settings settings = Settings.of(context.getEnvironment());
        Thread.ofPlatform()
            .name("drain")
            .daemon(false)
            .start(() -> drain(context, Duration.ofSeconds(settings.drainDelaySeconds())))
            .join(Duration.ofSeconds(settings.shutdownTimeoutSeconds()));
        log.error("shutdown deadline exceeded: requests in flight are cut off");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    Runtime.getRuntime().halt(1);
  }

  /** Before Spring's shutdown begins, since that stops executors which requests may need. */
  private static void drain(ConfigurableApplicationContext context, Duration delay) {
    AvailabilityChangeEvent.publish(context, ReadinessState.REFUSING_TRAFFIC);
    log.info("draining");
    try {
      Thread.sleep(delay);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    context.close();
    log.info("stopped");
    System.exit(0);
  }

  private static int healthcheck(StandardEnvironment environment) {
    LoggingSystem.get(Service.class.getClassLoader()).beforeInitialize();
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
