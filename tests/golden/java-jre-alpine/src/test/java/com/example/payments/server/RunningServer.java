package com.example.payments.server;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;

import com.example.payments.PaymentsApplication;
import com.example.payments.config.Settings;

/** The service on a loopback port, in this process, with signals that a test sends. */
final class RunningServer implements AutoCloseable {
  final int port = freePort();
  final BlockingQueue<String> signals = new LinkedBlockingQueue<>();
  final CompletableFuture<Boolean> result;

  /** Starts it and returns when it is ready. */
  RunningServer(Duration drainDelay, Duration shutdownTimeout) throws IOException {
    this(PaymentsApplication.class, drainDelay, shutdownTimeout);
  }

  /** With beans of a test: a class that imports the application's. */
  RunningServer(Class<?> application, Duration drainDelay, Duration shutdownTimeout)
      throws IOException {
    Settings settings = new Settings("127.0.0.1", port, "error", drainDelay, shutdownTimeout);
    Server server = new Server(application, settings, "orders", "1.2.3");
    result = CompletableFuture.supplyAsync(() -> server.serve(signals));
    while (!ready()) {
      if (result.isDone()) {
        throw new AssertionError("the service did not start");
      }
      Thread.onSpinWait();
    }
  }

  /** Sends what a test writes and returns all that comes until the connection is closed. */
  String exchange(String request) throws IOException {
    try (Socket connection = connect()) {
      send(connection, request);
      connection.shutdownOutput();
      return answer(connection);
    }
  }

  Socket connect() throws IOException {
    return new Socket(InetAddress.getLoopbackAddress(), port);
  }

  private boolean ready() throws IOException {
    return !refuses() && exchange(head("GET /readyz")).startsWith("HTTP/1.1 200");
  }

  boolean refuses() {
    try {
      connect().close();
      return false;
    } catch (IOException e) {
      return true;
    }
  }

  /** The head of a request, up to the empty line. */
  static String head(String start, String... headers) {
    StringBuilder head = new StringBuilder(start + " HTTP/1.1\r\nHost: localhost\r\n");
    for (String header : headers) {
      head.append(header).append("\r\n");
    }
    return head.append("\r\n").toString();
  }

  static void send(Socket connection, String text) throws IOException {
    connection.getOutputStream().write(text.getBytes(StandardCharsets.UTF_8));
  }

  static String answer(Socket connection) throws IOException {
    return new String(connection.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
  }

  static int freePort() {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  @Override
  public void close() {
    signals.add("SIGTERM");
    result.join();
  }
}
