package com.example.payments.server;

import java.time.Duration;
import java.util.concurrent.TimeUnit;

import org.springframework.stereotype.Component;

/** Which requests are in flight, and whether the service drains. */
@Component
public final class Traffic {
  private int inFlight;
  private long idleSince;
  private volatile boolean draining;

  public boolean draining() {
    return draining;
  }

  /** From now on every answer is the last of its connection. */
  public void drain() {
    draining = true;
  }

  public synchronized int inFlight() {
    return inFlight;
  }

  public synchronized void begin() {
    inFlight++;
  }

  public synchronized void end() {
    inFlight--;
    idleSince = System.nanoTime();
    notifyAll();
  }

  /** Returns when no request has been in flight for a while. */
  synchronized void awaitNone(Duration quiet) throws InterruptedException {
    idleSince = System.nanoTime();
    while (true) {
      long left = quiet.toNanos() - (System.nanoTime() - idleSince);
      if (inFlight > 0) {
        wait();
      } else if (left > 0) {
        TimeUnit.NANOSECONDS.timedWait(this, left);
      } else {
        return;
      }
    }
  }
}
