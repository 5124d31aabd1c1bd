package peers;

import java.io.IOException;
import java.lang.management.CompilationMXBean;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.TopDocs;
import org.apache.lucene.search.TopScoreDocCollectorManager;

/**
 * Runs the queries over and over: first until the compiler has done its work, then timed.
 *
 * <p>The time of a query is its least over the timed passes, which leaves out pauses of the garbage collector.
 */
final class Passes {
  /** Warming goes by laps of so many seconds, since with few queries a pass is too short to judge by. */
  private static final double LAP_SECONDS = 2;

  /** Warming ends after a lap that is not this much faster than the best before it ... */
  private static final double WORTHWHILE = 0.97;

  /** ... and in which the compiler was busy for less than this part of the time. */
  private static final double QUIET = 0.01;

  private static final double LEAST_WARM_SECONDS = 5;
  private static final double MOST_WARM_SECONDS = 40;

  /** Pruning starts as soon as k documents are found: Lucene takes the greater of this and k. */
  private static final int HITS_TO_COUNT = 1;

  private static final CompilationMXBean COMPILER = ManagementFactory.getCompilationMXBean();

  private final IndexSearcher searcher;
  private final Query[] queries;
  private final int k;
  private final long[] leastNanos;
  private final int[][] docs;
  private final float[][] scores;
  private double[] meanMicros = {};
  private double firstQueryMicros;
  private int warmPasses;
  private double warmSeconds;

  Passes(IndexSearcher searcher, List<Query> queries, int k) throws IOException {
    if (queries.isEmpty()) {
      throw new IOException("there are no queries");
    }
    this.searcher = searcher;
    this.queries = queries.toArray(Query[]::new);
    this.k = k;
    leastNanos = new long[this.queries.length];
    docs = new int[this.queries.length][];
    scores = new float[this.queries.length][];
  }

  /** Runs untimed passes, the first of which keeps the hits. */
  void warm() throws IOException {
    long start = System.nanoTime();
    for (int i = 0; i < queries.length; i++) {
      TopDocs found = search(queries[i]);
      if (i == 0) {
        firstQueryMicros = microsSince(start);
      }
      keep(i, found);
    }
    warmPasses = 1;
    double best = Double.POSITIVE_INFINITY;
    boolean warm = false;
    while (BuildCommand.secondsSince(start) < (warm ? LEAST_WARM_SECONDS : MOST_WARM_SECONDS)) {
      long lapStart = System.nanoTime();
      long compiled = COMPILER.getTotalCompilationTime();
      double sum = 0;
      int passes = 0;
      do {
        sum += pass();
        passes++;
      } while (BuildCommand.secondsSince(lapStart) < LAP_SECONDS);
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
      TopDocs found = search(queries[i]);
      long nanos = System.nanoTime() - start;
      if (found.scoreDocs.length != docs[i].length) {
        throw new IOException("query " + i + " found a different number of documents the second time");
      }
      leastNanos[i] = Math.min(leastNanos[i], nanos);
      sum += nanos;
    }
    return sum / 1e3 / queries.length;
  }

  private TopDocs search(Query query) throws IOException {
    return searcher.search(query, new TopScoreDocCollectorManager(k, HITS_TO_COUNT));
  }

  private void keep(int query, TopDocs found) {
    ScoreDoc[] hits = found.scoreDocs;
    docs[query] = new int[hits.length];
    scores[query] = new float[hits.length];
    for (int rank = 0; rank < hits.length; rank++) {
      docs[query][rank] = hits[rank].doc;
      scores[query][rank] = hits[rank].score;
    }
  }

  int queries() {
    return queries.length;
  }

  /** The documents of a query, best first, in Lucene's own numbers. */
  int[] docs(int query) {
    return docs[query];
  }

  float[] scores(int query) {
    return scores[query];
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
