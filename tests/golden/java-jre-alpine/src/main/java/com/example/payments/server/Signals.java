package com.example.payments.server;

import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

/** The signals that ask the process to end. */
public final class Signals {
  private Signals() {}

  /** Takes SIGTERM and SIGINT from the JVM, which would exit at once with a code of its own. */
  public static BlockingQueue<String> subscribe() {
    BlockingQueue<String> signals = new LinkedBlockingQueue<>();
    for (String name : List.of("TERM", "INT")) {
      handle(name, () -> signals.add("SIG" + name));
    }
    return signals;
  }

  /** By reflection, because a use of sun.misc is a warning that no option turns off. */
  private static void handle(String name, Runnable action) {
    try {
      Class<?> signal = Class.forName("sun.misc.Signal");
      Class<?> handler = Class.forName("sun.misc.SignalHandler");
      Object proxy =
          Proxy.newProxyInstance(
              Signals.class.getClassLoader(),
              new Class<?>[] {handler},
              (self, method, arguments) -> {
                action.run();
                return null;
              });
      Method handle = signal.getMethod("handle", signal, handler);
      handle.invoke(null, signal.getConstructor(String.class).newInstance(name), proxy);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException("the JDK has no sun.misc.Signal: module jdk.unsupported", e);
    }
  }
}
