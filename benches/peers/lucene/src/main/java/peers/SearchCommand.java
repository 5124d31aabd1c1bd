package peers;

import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.apache.lucene.index.DirectoryReader;
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
  private final String mode;
  private final int k;
  private final int rounds;
  private final int maxQueries;
  private final String prefix;

  SearchCommand(String engine, Work work, Layout layout, Options options) throws Options.UsageException {
    this.engine = engine;
    this.work = work;
    this.layout = layout;
    mode = options.take("mode", null);
    if (!layout.modes().contains(mode)) {
      throw new Options.UsageException("--mode of " + layout.kind() + " must be one of " + layout.modes() + ", found: " + mode);
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
      if (!mode.endsWith(Layout.CACHED)) {
        searcher.setQueryCache(null);
      }
      double openMicros = Passes.microsSince(start);
      if (reader.leaves().size() != 1) {
        throw new IOException("expected an index of one segment, found " + reader.leaves().size());
      }

      Task task = Task.of(mode, Math.min(k, reader.maxDoc()), reader);
      Passes passes = new Passes(searcher, parse(searcher), task, layout.warmSeconds());
      passes.warm();
      passes.measure(rounds);
      double[] times = passes.leastMicros();
      writeTimes(times);
      writeHits(passes);

      return new Report()
          .put("engine", engine)
          .put("mode", mode)
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
    try (RecordFile file = work.openQueries(mode)) {
      RecordFile.Reader record = file.reader();
      for (int i = 0; i < Math.min(file.size(), maxQueries); i++) {
        record.read(i);
        queries.add(searcher.rewrite(layout.parse(record)));
      }
    }
    return queries;
  }

  private void writeTimes(double[] times) throws IOException {
    try (BufferedWriter out = Files.newBufferedWriter(Path.of(prefix + ".times"))) {
      for (double time : times) {
        out.write(String.format(Locale.ROOT, "%.3f\n", time));
      }
    }
  }

  private void writeHits(Passes passes) throws IOException {
    StringBuilder line = new StringBuilder();
    try (BufferedWriter out = Files.newBufferedWriter(Path.of(prefix + ".hits"))) {
      for (int query = 0; query < passes.queries(); query++) {
        Task.Hits hits = passes.hits(query);
        for (int rank = 0; rank < hits.numbers().length; rank++) {
          line.setLength(0);
          line.append(query).append(' ').append(hits.numbers()[rank]).append(' ');
          layout.appendScore(line, hits.values()[rank]);
          out.append(line.append('\n'));
        }
      }
    }
  }
}
