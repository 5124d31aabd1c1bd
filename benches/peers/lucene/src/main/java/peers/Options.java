package peers;

import java.util.HashMap;
import java.util.Map;

/** The options of a command line: {@code --name value}, each taken once by the command that knows it. */
final class Options {
  /** A command line that is not understood. */
  static final class UsageException extends Exception {
    private static final long serialVersionUID = 1L;

    UsageException(String message) {
      super(message);
    }
  }

  private final Map<String, String> values = new HashMap<>();

  Options(String[] words) throws UsageException {
    for (int i = 0; i < words.length; i += 2) {
      if (!words[i].startsWith("--") || i + 1 == words.length) {
        throw new UsageException("expected --NAME VALUE, found: " + words[i]);
      }
      values.put(words[i].substring(2), words[i + 1]);
    }
  }

  /** The value of an option, or {@code fallback} where it was not given; a null fallback makes the option needed. */
  String take(String name, String fallback) throws UsageException {
    String value = values.remove(name);
    if (value == null) {
      value = fallback;
    }
    if (value == null) {
      throw new UsageException("--" + name + " is missing");
    }
    return value;
  }

  /** As {@link #take}, for a whole number of at least 1. */
  int takeCount(String name, Integer fallback) throws UsageException {
    String text = take(name, fallback == null ? null : fallback.toString());
    int value;
    try {
      value = Integer.parseInt(text);
    } catch (NumberFormatException error) {
      value = 0;
    }
    if (value < 1) {
      throw new UsageException("--" + name + " must be a whole number of at least 1, found: " + text);
    }
    return value;
  }

  /** Whether an option was given and not yet taken. */
  boolean has(String name) {
    return values.containsKey(name);
  }

  /** Refuses what no command took: a misspelt option must not pass for a measurement. */
  void finish() throws UsageException {
    if (!values.isEmpty()) {
      throw new UsageException("no such option: --" + values.keySet().iterator().next());
    }
  }
}
