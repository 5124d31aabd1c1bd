package peers;

import java.io.IOException;
import java.lang.management.CompilationMXBean;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;

/**
 * Runs the queries over and over: first until the compiler has done its work, then timed.
 *
 * <p>The time of a query is its least over the timed passes, which leaves out pauses of the garbage collector.
 */
final class Passes {
  /** Warming at least takes so many laps, and not passes, since with few queries a pass is too short to judge by. */
  private static final double LAPS_OF_LEAST_WARM = 2.5;

  /** Warming ends after a lap that is not this much faster than the best before it ... */
  private static final double WORTHWHILE = 0.97;

  /** ... and in which the compiler was busy for less than this part of the time. */
  private static final double QUIET = 0.01;

  /** Warming takes at most so many times as long as at least. */
  private static final double MOST_WARM = 8;

  private static final CompilationMXBean COMPILER = ManagementFactory.getCompilationMXBean();

  private final IndexSearcher searcher;
  private final Query[] queries;
  private final Task task;
  private final double leastWarmSeconds;
  private final long[] leastNanos;
  private final Task.Hits[] hits;
  private double[] meanMicros = {};
  private double firstQueryMicros;
  private int warmPasses;
  private double warmSeconds;

  Passes(IndexSearcher searcher, List<Query> queries, Task task, double leastWarmSeconds) throws IOException {
    if (queries.isEmpty()) {
      throw new IOException("there are no queries");
    }
    this.searcher = searcher;
    this.queries = queries.toArray(Query[]::new);
    this.task = task;
    this.leastWarmSeconds = leastWarmSeconds;
    leastNanos = new long[this.queries.length];
    hits = new Task.Hits[this.queries.length];
  }

  /** Runs untimed passes, the first of which keeps the hits. */
  void warm() throws IOException {
    long start = System.nanoTime();
    for (int i = 0; i < queries.length; i++) {
      Object found = task.search(searcher, queries[i]);
      if (i == 0) {
        firstQueryMicros = microsSince(start);
      }
      hits[i] = task.hits(found);
    }
    warmPasses = 1;
    double best = Double.POSITIVE_INFINITY;
    boolean warm = false;
    while (BuildCommand.secondsSince(start) < (warm ? leastWarmSeconds : MOST_WARM * leastWarmSeconds)) {
      long lapStart = System.nanoTime();
      long compiled = COMPILER.getTotalCompilationTime();
      double sum = 0;
      int passes = 0;
      do {
        sum += pass();
        passes++;
      } while (BuildCommand.secondsSince(lapStart) < leastWarmSeconds / LAPS_OF_LEAST_WARM);
      warmPasses += passes;
      double mean = sum / passes;
      double busy = (COMPILER.getTotalCompilationTime() - compiled) / 1e3 / BuildCommand.secondsSince(lapStart);
      warm = mean >= best * WORTHWHILE && busy < QUIET;
      best = Math.min(best, mean);
    }
    warmSeconds = BuildCommand.secondsSince(start);
  }

  /** Runs the passes that count. */
  void measure(int rounds) throws IOException {
    Arrays.fill(leastNanos, Long.MAX_VALUE);
    meanMicros = new double[rounds];
    for (int round = 0; round < rounds; round++) {
      meanMicros[round] = pass();
    }
  }

  private double pass() throws IOException {
    long sum = 0;
    for (int i = 0; i < queries.length; i++) {
      long start = System.nanoTime();
      Object found = task.search(searcher, queries[i]);
      long nanos = System.nanoTime() - start;
      if (task.hits(found).numbers().length != hits[i].numbers().length) {
        throw new IOException("query " + i + " found a different number of documents the second time");
      }
      leastNanos[i] = Math.min(leastNanos[i], nanos);
      sum += nanos;
    }
    return sum / 1e3 / queries.length;
  }

  int queries() {
    return queries.length;
  }

  /** What the first pass found of a query. */
  Task.Hits hits(int query) {
    return hits[query];
  }

  /** The least time of each query over the measured passes. */
  double[] leastMicros() {
    return Arrays.stream(leastNanos).mapToDouble(nanos -> nanos / 1e3).toArray();
  }

  /** The mean time of a query in each measured pass. */
  double[] meanMicros() {
    return meanMicros;
  }

  double firstQueryMicros() {
    return firstQueryMicros;
  }

  String note() {
    return String.format(Locale.ROOT, "%d warming passes in %.0f s", warmPasses, warmSeconds);
  }

  static double microsSince(long start) {
    return (System.nanoTime() - start) / 1e3;
  }

  static double mean(double[] values) {
    return Arrays.stream(values).average().orElseThrow();
  }

  /** The least value that at least this part of the values does not exceed. */
  static double quantile(double[] values, double part) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[Math.max(0, (int) Math.ceil(part * sorted.length) - 1)];
  }
}
