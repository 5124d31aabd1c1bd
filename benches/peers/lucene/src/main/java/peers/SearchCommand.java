package peers;

import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.LeafReader;
import org.apache.lucene.index.NumericDocValues;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.apache.lucene.store.MMapDirectory;

/** {@code search}: opens an index, runs the queries by {@link Passes}, writes times and hits. */
final class SearchCommand {
  private static final String SETTINGS =
      "one thread, queries built and rewritten beforehand, open and first query in a cold JVM";

  private final String engine;
  private final Work work;
  private final Layout layout;
  private final int k;
  private final int rounds;
  private final int maxQueries;
  private final String prefix;

  SearchCommand(String engine, Work work, Layout layout, Options options) throws Options.UsageException {
    this.engine = engine;
    this.work = work;
    this.layout = layout;
    String mode = options.take("mode", null);
    if (!mode.equals(layout.mode())) {
      throw new Options.UsageException("--mode of " + layout.kind() + " must be " + layout.mode() + ", found: " + mode);
    }
    k = options.takeCount("k", null);
    rounds = options.takeCount("rounds", null);
    prefix = options.take("out", null);
    maxQueries = options.takeCount("queries", Integer.MAX_VALUE);
    options.takeCount("threads", 1); // one thread searches, whatever it says
    options.finish();
  }

  Report run(Path index) throws IOException {
    IndexSearcher.setMaxClauseCount(Integer.MAX_VALUE);
    long start = System.nanoTime();
    try (MMapDirectory directory = new MMapDirectory(index);
        DirectoryReader reader = DirectoryReader.open(directory)) {
      IndexSearcher searcher = new IndexSearcher(reader); // no executor: the caller's thread does all
      searcher.setSimilarity(layout.similarity());
      searcher.setQueryCache(null);
      double openMicros = Passes.microsSince(start);
      if (reader.leaves().size() != 1) {
        throw new IOException("expected an index of one segment, found " + reader.leaves().size());
      }

      Passes passes = new Passes(searcher, parse(searcher), Math.min(k, reader.maxDoc()));
      passes.warm();
      passes.measure(rounds);
      double[] times = passes.leastMicros();
      writeTimes(times);
      writeHits(passes, numbers(reader.leaves().getFirst().reader()));

      return new Report()
          .put("engine", engine)
          .put("mode", layout.mode())
          .put("k", k)
          .put("mean_us", Passes.mean(times))
          .put("p50_us", Passes.quantile(times, 0.5))
          .put("p99_us", Passes.quantile(times, 0.99))
          .put("passes_us", passes.meanMicros())
          .put("open_us", openMicros)
          .put("first_query_us", passes.firstQueryMicros())
          .putPeakMemory()
          .put("note", layout.note() + "; " + SETTINGS + "; " + passes.note());
    }
  }

  /** Builds the queries: terms and weights in Lucene's objects, rewritten, but nothing looked up in the index. */
  private List<Query> parse(IndexSearcher searcher) throws IOException {
    List<Query> queries = new ArrayList<>();
    try (RecordFile file = work.openQueries()) {
      RecordFile.Reader record = file.reader();
      for (int i = 0; i < Math.min(file.size(), maxQueries); i++) {
        record.read(i);
        queries.add(searcher.rewrite(layout.parse(record)));
      }
    }
    return queries;
  }

  private static int[] numbers(LeafReader segment) throws IOException {
    int[] numbers = new int[segment.maxDoc()];
    NumericDocValues values = segment.getNumericDocValues(Layout.NUMBER);
    for (int doc = 0; doc < numbers.length; doc++) {
      if (!values.advanceExact(doc)) {
        throw new IOException("document " + doc + " of the index has no number");
      }
      numbers[doc] = (int) values.longValue();
    }
    return numbers;
  }

  private void writeTimes(double[] times) throws IOException {
    try (BufferedWriter out = Files.newBufferedWriter(Path.of(prefix + ".times"))) {
      for (double time : times) {
        out.write(String.format(Locale.ROOT, "%.3f\n", time));
      }
    }
  }

  private void writeHits(Passes passes, int[] numbers) throws IOException {
    StringBuilder line = new StringBuilder();
    try (BufferedWriter out = Files.newBufferedWriter(Path.of(prefix + ".hits"))) {
      for (int query = 0; query < passes.queries(); query++) {
        int[] docs = passes.docs(query);
        float[] scores = passes.scores(query);
        for (int rank = 0; rank < docs.length; rank++) {
          line.setLength(0);
          line.append(query).append(' ').append(numbers[docs[rank]]).append(' ');
          layout.appendScore(line, scores[rank]);
          out.append(line.append('\n'));
        }
      }
    }
  }
}
