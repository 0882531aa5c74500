package com.example.payments.server;

import java.net.SocketException;
import java.time.Duration;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;

import org.eclipse.jetty.server.Connector;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.availability.AvailabilityChangeEvent;
import org.springframework.boot.availability.ReadinessState;
import org.springframework.boot.jetty.JettyWebServer;
import org.springframework.boot.web.server.WebServerException;
import org.springframework.boot.web.server.context.WebServerApplicationContext;
import org.springframework.context.ConfigurableApplicationContext;

import com.example.payments.config.Settings;

/** Serves until a signal, then drains. */
public final class Server {
  /** How long a request may take from its connection to its handler. */
  private static final Duration QUIET = Duration.ofMillis(200);

  /** Stands in the queue of signals for the end of the drain. */
  private static final String STOPPED = "stopped";

  private static final Logger log = LoggerFactory.getLogger(Server.class);

  private final Class<?> application;
  private final Settings settings;
  private final String service;
  private final String version;

  public Server(Class<?> application, Settings settings, String service, String version) {
    this.application = application;
    this.settings = settings;
    this.service = service;
    this.version = version;
  }

  /** Returns whether the service started and every request was answered before the end. */
  public boolean serve(BlockingQueue<String> signals) {
    ConfigurableApplicationContext context;
    try {
      context = start();
    } catch (RuntimeException e) {
      logFailure(e);
      return false;
    }
    log.atInfo().addKeyValue("address", settings.address()).log("listening");
    try {
      return drain(context, signals);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  private ConfigurableApplicationContext start() {
    String level = settings.logLevel();
    SpringApplication spring = new SpringApplication(application);
    spring.addInitializers(
        context -> context.getBeanFactory().registerSingleton("settings", settings));
    return spring.run(
        "--spring.application.name=" + service,
        "--spring.application.version=" + version,
        "--logging.level.root=" + (level.equals("error") ? "error" : "warn"),
        "--logging.level." + application.getPackageName() + "=" + level);
  }

  private static void logFailure(RuntimeException failure) {
    boolean ofWebServer = false;
    Throwable root = failure;
    while (root.getCause() != null) {
      ofWebServer |= root instanceof WebServerException;
      root = root.getCause();
    }
    if (ofWebServer && root instanceof SocketException) {
      log.atError().addKeyValue("error", root.getMessage()).log("cannot listen");
    } else {
      log.atError().addKeyValue("error", root.toString()).setCause(failure).log("cannot start");
    }
  }

  private boolean drain(ConfigurableApplicationContext context, BlockingQueue<String> signals)
      throws InterruptedException {
    String signal = signals.take();
    Traffic traffic = context.getBean(Traffic.class);
    traffic.drain();
    AvailabilityChangeEvent.publish(context, ReadinessState.REFUSING_TRAFFIC);
    log.atInfo().addKeyValue("signal", signal).log("draining");

    Thread.startVirtualThread(() -> stop(context, traffic, signals));
    String next = signals.poll(settings.shutdownTimeout().toNanos(), TimeUnit.NANOSECONDS);
    int left = traffic.inFlight();
    if (next == null && left > 0) {
      String error = "requests in flight: " + left;
      log.atError().addKeyValue("error", error).log("shutdown deadline exceeded");
      return false;
    }
    // A bean that is slow to close does not make it a failure.
    boolean stopped = next == null || next.equals(STOPPED);
    if (stopped) {
      log.info(STOPPED);
    }
    return stopped;
  }

  private void stop(
      ConfigurableApplicationContext context, Traffic traffic, BlockingQueue<String> signals) {
    try {
      Thread.sleep(settings.drainDelay());
      var webServer = ((WebServerApplicationContext) context).getWebServer();
      for (Connector connector : ((JettyWebServer) webServer).getServer().getConnectors()) {
        var _ = connector.shutdown();
      }
      traffic.awaitNone(QUIET);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return;
    }
    try {
      context.close();
    } catch (RuntimeException e) {
      // Every request has its answer all the same.
      log.atWarn().setCause(e).log("closing failed");
    }
    signals.add(STOPPED);
  }
}
