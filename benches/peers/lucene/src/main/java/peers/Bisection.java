package peers;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.apache.lucene.index.CodecReader;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.SlowCodecReaderWrapper;
import org.apache.lucene.misc.index.BPIndexReorderer;
import org.apache.lucene.search.similarities.BM25Similarity;
import org.apache.lucene.store.MMapDirectory;

/**
 * Rewrites an index of one segment in the order of Lucene's recursive graph bisection.
 *
 * <p>BPReorderingMergePolicy would do the same while merging, but it leaves an index alone that has one segment already,
 * and it passes in silence over want of memory; here both are certain, and the time is told apart.
 */
record Bisection(double orderSeconds, double rewriteSeconds, int minDocumentFrequency) {
  private static final double MEMORY_MB = 6 * 1024;

  static Bisection rewrite(Path from, Path to, int documents, int threads) throws IOException {
    BPIndexReorderer reorderer = new BPIndexReorderer();
    int minDocumentFrequency = minDocumentFrequency(documents);
    reorderer.setMinDocFreq(minDocumentFrequency);
    reorderer.setRAMBudgetMB(MEMORY_MB);
    reorderer.setFields(Set.of(Layout.TERMS));
    // The thread that asks takes part in the work, so the pool has one less.
    ExecutorService pool = threads == 1 ? null : Executors.newFixedThreadPool(threads - 1);
    try (MMapDirectory source = new MMapDirectory(from);
        MMapDirectory target = new MMapDirectory(to);
        DirectoryReader reader = DirectoryReader.open(source)) {
      CodecReader segment = SlowCodecReaderWrapper.wrap(reader.leaves().getFirst().reader());
      long start = System.nanoTime();
      CodecReader reordered = reorderer.reorder(segment, target, pool);
      double orderSeconds = BuildCommand.secondsSince(start);

      start = System.nanoTime();
      // Lengths are copied, not computed, so any similarity will do.
      try (IndexWriter writer = new IndexWriter(target, BuildCommand.writerConfig(new BM25Similarity()))) {
        writer.addIndexes(reordered);
        writer.forceMerge(1);
        writer.commit();
      }
      return new Bisection(orderSeconds, BuildCommand.secondsSince(start), minDocumentFrequency);
    } finally {
      if (pool != null) {
        pool.shutdown();
      }
    }
  }

  /** Lucene's default leaves out terms in fewer than 4,096 documents, which in a small collection is nearly all. */
  private static int minDocumentFrequency(int documents) {
    return Math.clamp(documents / 1000, 16, BPIndexReorderer.DEFAULT_MIN_DOC_FREQ);
  }

  double seconds() {
    return orderSeconds + rewriteSeconds;
  }

  String note() {
    return String.format(
        Locale.ROOT,
        "bisection %.1f s (terms in at least %d documents), rewriting %.1f s",
        orderSeconds, minDocumentFrequency, rewriteSeconds);
  }
}
