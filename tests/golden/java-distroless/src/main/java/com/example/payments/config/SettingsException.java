package com.example.payments.config;

/** Says which variable is wrong, what it holds and what it should hold. */
public final class SettingsException extends Exception {
  private static final long serialVersionUID = 1L;

  SettingsException(String variable, String got, String want) {
    super("configuration error: %s: got %s, want %s".formatted(variable, quoted(got), want));
  }

  /** A JSON string in ASCII, which a terminal of any encoding shows. */
  private static String quoted(String value) {
    StringBuilder text = new StringBuilder("\"");
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      switch (c) {
        case '"', '\\' -> text.append('\\').append(c);
        case '\b' -> text.append("\\b");
        case '\f' -> text.append("\\f");
        case '\n' -> text.append("\\n");
        case '\r' -> text.append("\\r");
        case '\t' -> text.append("\\t");
        default -> text.append(c < ' ' || c > '~' ? "\\u%04x".formatted((int) c) : c);
      }
    }
    return text.append('"').toString();
  }
}
