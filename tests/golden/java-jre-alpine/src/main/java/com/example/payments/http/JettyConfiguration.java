package com.example.payments.http;

import org.eclipse.jetty.ee11.servlet.ServletContextHandler;
import org.eclipse.jetty.http.UriCompliance;
import org.eclipse.jetty.io.Connection;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.util.VirtualThreads;
import org.eclipse.jetty.util.thread.QueuedThreadPool;
import org.springframework.boot.jetty.JettyWebServer;
import org.springframework.boot.web.server.servlet.ServletWebServerFactory;
import org.springframework.boot.web.servlet.ServletContextInitializer;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

import com.example.payments.config.Settings;

/**
 * The HTTP server. Spring Boot's own factory makes a web application with directories below /tmp,
 * which this service must do without.
 */
@Configuration(proxyBeanMethods = false)
class JettyConfiguration {
  @Bean
  static ServletWebServerFactory jetty(Settings settings, RequestHandler requests) {
    return initializers -> {
      Server server = new Server(threads());
      server.addConnector(connector(server, settings));
      requests.setHandler(servlets(initializers));
      server.setHandler(requests);
      server.setErrorHandler(requests::refused);
      return new JettyWebServer(server);
    };
  }

  /** Platform threads for the sockets, a virtual one for each request. */
  private static QueuedThreadPool threads() {
    QueuedThreadPool threads = new QueuedThreadPool();
    threads.setVirtualThreadsExecutor(VirtualThreads.getNamedVirtualThreadsExecutor("request-"));
    return threads;
  }

  private static ServerConnector connector(Server server, Settings settings) {
    HttpConfiguration http = new HttpConfiguration();
    http.setRequestHeaderSize(Limits.HEADER_BYTES);
    http.setSendServerVersion(false);
    // A path such as /%2e%2e gets the answer of a path that does not exist.
    http.setUriCompliance(UriCompliance.UNSAFE);

    ServerConnector connector = new ServerConnector(server, new HttpConnectionFactory(http));
    connector.setHost(settings.host());
    connector.setPort(settings.port());
    connector.setIdleTimeout(Limits.IDLE.toMillis());
    // Requests in flight keep their time when the socket closes.
    connector.setShutdownIdleTimeout(Limits.REQUEST.toMillis());
    connector.addBean(
        new Connection.Listener() {
          @Override
          public void onOpened(Connection connection) {
            connection.getEndPoint().setIdleTimeout(Limits.HEADERS.toMillis());
          }
        });
    return connector;
  }

  private static ServletContextHandler servlets(ServletContextInitializer[] initializers) {
    ServletContextHandler servlets = new ServletContextHandler("/");
    servlets.setErrorHandler(new ErrorAnswer());
    servlets.addServletContainerInitializer((classes, context) -> {
      for (ServletContextInitializer initializer : initializers) {
        initializer.onStartup(context);
      }
    });
    return servlets;
  }
}
