package peers;

import java.nio.file.Path;
import java.util.Arrays;

/** The door: {@code ENGINE build|search|modes ...}, where the engine is {@code lucene} or {@code lucene-bp}. */
public final class Main {
  private static final String USAGE =
      """
      usage: ENGINE build WORK INDEX [--threads N] [--order FILE]
             ENGINE search WORK INDEX --mode MODE --k K --rounds R --out PREFIX [--queries N] [--threads N]
             ENGINE modes
      where ENGINE is lucene or lucene-bp""";

  private Main() {}

  public static void main(String[] words) {
    try {
      run(words);
    } catch (Options.UsageException error) {
      System.err.println(error.getMessage());
      System.err.println(USAGE);
      System.exit(2);
    } catch (Exception error) {
      error.printStackTrace();
      System.exit(1);
    }
  }

  private static void run(String[] words) throws Exception {
    if (words.length < 2 || !(words[0].equals("lucene") || words[0].equals("lucene-bp"))) {
      throw new Options.UsageException("expected an engine and a command, found: " + String.join(" ", words));
    }
    String engine = words[0];
    if (words[1].equals("modes")) {
      for (Layout layout : Layout.ALL) {
        for (String mode : layout.modes()) {
          System.out.println(layout.kind() + " " + mode);
        }
      }
      return;
    }
    if (words.length < 4) {
      throw new Options.UsageException("expected WORK and INDEX after " + words[1]);
    }
    Path index = Path.of(words[3]);
    Work work = Work.open(Path.of(words[2]));
    Layout layout = Layout.of(work.kind());
    Options options = new Options(Arrays.copyOfRange(words, 4, words.length));
    Report report =
        switch (words[1]) {
          case "build" -> new BuildCommand(engine, work, layout, options).run(index);
          case "search" -> new SearchCommand(engine, work, layout, options).run(index);
          default -> throw new Options.UsageException("no such command: " + words[1]);
        };
    System.out.println(report.toJson());
  }
}
