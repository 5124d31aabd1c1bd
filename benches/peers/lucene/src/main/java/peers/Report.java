package peers;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.StringJoiner;

/** What a command prints: one JSON object of strings, numbers, and lists or objects of numbers. */
final class Report {
  private final Map<String, String> entries = new LinkedHashMap<>();

  Report put(String name, String value) {
    entries.put(name, quote(value));
    return this;
  }

  Report put(String name, long value) {
    entries.put(name, Long.toString(value));
    return this;
  }

  Report put(String name, double value) {
    entries.put(name, number(value));
    return this;
  }

  Report put(String name, double[] values) {
    StringJoiner list = new StringJoiner(", ", "[", "]");
    for (double value : values) {
      list.add(number(value));
    }
    entries.put(name, list.toString());
    return this;
  }

  Report put(String name, Map<String, Long> values) {
    StringJoiner object = new StringJoiner(", ", "{", "}");
    values.forEach((part, value) -> object.add(quote(part) + ": " + value));
    entries.put(name, object.toString());
    return this;
  }

  /** Adds the largest resident size of this process so far, where the system tells it. */
  Report putPeakMemory() throws IOException {
    Path status = Path.of("/proc/self/status");
    if (Files.exists(status)) {
      for (String line : Files.readAllLines(status)) {
        if (line.startsWith("VmHWM:")) {
          put("peak_rss_bytes", Long.parseLong(line.replaceAll("\\D", "")) * 1024);
        }
      }
    }
    return this;
  }

  String toJson() {
    StringJoiner object = new StringJoiner(", ", "{", "}");
    entries.forEach((name, value) -> object.add(quote(name) + ": " + value));
    return object.toString();
  }

  private static String number(double value) {
    return String.format(Locale.ROOT, "%.3f", value);
  }

  private static String quote(String text) {
    StringBuilder quoted = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      if (c == '"' || c == '\\') {
        quoted.append('\\').append(c);
      } else if (c < ' ') {
        quoted.append(String.format(Locale.ROOT, "\\u%04x", (int) c));
      } else {
        quoted.append(c);
      }
    }
    return quoted.append('"').toString();
  }
}
