package com.example.payments.health;

import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.Proxy;
import java.net.URI;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** The client side of the liveness probe, for images that have no curl. */
public final class Healthcheck {
  private static final int TIMEOUT_SECONDS = 2;

  private Healthcheck() {}

  /** Says which URL did not answer well, and why. */
  public static final class Failure extends Exception {
    private static final long serialVersionUID = 1L;

    Failure(URI url, String reason) {
      super("healthcheck: " + url + ": " + reason);
    }
  }

  /** Returns when the URL answers 200 within two seconds. */
  public static void check(URI url) throws Failure {
    CompletableFuture<Integer> status = new CompletableFuture<>();
    Thread.ofVirtual()
        .start(() -> {
          try {
            status.complete(get(url));
          } catch (IOException e) {
            status.completeExceptionally(e);
          }
        });
    try {
      int got = status.get(TIMEOUT_SECONDS, TimeUnit.SECONDS);
      if (got != HttpURLConnection.HTTP_OK) {
        throw new Failure(url, got < 0 ? "the answer is not HTTP" : "got status " + got);
      }
    } catch (TimeoutException e) {
      throw new Failure(url, "no answer within " + TIMEOUT_SECONDS + " seconds");
    } catch (ExecutionException e) {
      throw new Failure(
          url, String.valueOf(e.getCause().getMessage()).lines().findFirst().orElse("failed"));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new Failure(url, "interrupted");
    }
  }

  private static int get(URI url) throws IOException {
    HttpURLConnection connection = (HttpURLConnection) url.toURL().openConnection(Proxy.NO_PROXY);
    connection.setInstanceFollowRedirects(false);
    return connection.getResponseCode();
  }
}
