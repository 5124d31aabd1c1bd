package peers;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.LogByteSizeMergePolicy;
import org.apache.lucene.search.similarities.Similarity;
import org.apache.lucene.store.MMapDirectory;
import org.apache.lucene.util.Version;

/** {@code build}: documents to an index of one segment. */
final class BuildCommand {
  private static final double BUFFER_MB = 1024;

  private final String engine;
  private final Work work;
  private final Layout layout;
  private final int threads;
  private final Path orderFile;

  BuildCommand(String engine, Work work, Layout layout, Options options) throws Options.UsageException {
    this.engine = engine;
    this.work = work;
    this.layout = layout;
    orderFile = options.has("order") ? Path.of(options.take("order", null)) : null;
    threads = options.takeCount("threads", 2);
    options.finish();
  }

  Report run(Path index) throws IOException {
    boolean bisect = engine.equals("lucene-bp");
    delete(index);
    Files.createDirectories(index);

    long start = System.nanoTime();
    Path merged = bisect ? index.resolve("unordered") : index;
    // Documents added by several threads end in several segments, in an order that nobody chose.
    int addingThreads = orderFile == null ? threads : 1;
    double mergeSeconds = add(merged, addingThreads);
    String note =
        String.format(
            Locale.ROOT,
            "%s; %d adding thread(s), %.0f MB buffer%s",
            layout.note(), addingThreads, BUFFER_MB, orderFile == null ? "" : ", documents in the given order");
    if (bisect) {
      Bisection bisection = Bisection.rewrite(merged, index, work.documents(), threads);
      delete(merged);
      note += String.format(Locale.ROOT, "; merge %.1f s, %s", mergeSeconds, bisection.note());
      mergeSeconds += bisection.seconds();
    }
    double seconds = secondsSince(start);
    long numbers = size(index, ".dvd") + size(index, ".dvm");
    if (!work.kind().equals("forms")) { // which have other columns too
      note += "; of index_bytes " + numbers + " are the documents' numbers";
    }

    return new Report()
        .put("engine", engine)
        .put("version", Version.LATEST.toString())
        .put("documents", work.documents())
        .put("build_s", seconds)
        .put("merge_s", mergeSeconds)
        .put("index_bytes", size(index, ""))
        .put("parts", parts(index))
        .putPeakMemory()
        .put("note", note);
  }

  /** Adds all documents and merges them to one segment; returns the seconds spent merging. */
  private double add(Path folder, int addingThreads) throws IOException {
    int[] order = orderFile == null ? null : work.readOrder(orderFile);
    IndexWriterConfig config = writerConfig(layout.similarity());
    try (RecordFile documents = work.openDocuments();
        MMapDirectory directory = new MMapDirectory(folder);
        IndexWriter writer = new IndexWriter(directory, config)) {
      new Adder(work, documents, order, layout).addAll(writer, addingThreads);
      writer.flush();
      long start = System.nanoTime();
      writer.forceMerge(1);
      double seconds = secondsSince(start);
      writer.commit();
      return seconds;
    }
  }

  /** A writer that never merges unasked, and then merges neighbours only, so that documents keep their order. */
  static IndexWriterConfig writerConfig(Similarity similarity) {
    LogByteSizeMergePolicy policy = new LogByteSizeMergePolicy();
    policy.setMergeFactor(10_000);
    policy.setNoCFSRatio(0);
    return new IndexWriterConfig()
        .setSimilarity(similarity)
        .setMergePolicy(policy)
        .setUseCompoundFile(false)
        .setRAMBufferSizeMB(BUFFER_MB)
        .setOpenMode(IndexWriterConfig.OpenMode.CREATE);
  }

  static double secondsSince(long start) {
    return (System.nanoTime() - start) / 1e9;
  }

  private static long size(Path folder, String suffix) throws IOException {
    long bytes = 0;
    try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, "*" + suffix)) {
      for (Path file : files) {
        bytes += Files.size(file);
      }
    }
    return bytes;
  }

  /** Bytes of positions, of columns, and of the trees of points by which numbers are found. */
  private static Map<String, Long> parts(Path index) throws IOException {
    Map<String, Long> parts = new LinkedHashMap<>();
    parts.put("positions", size(index, ".pos"));
    parts.put("columns", size(index, ".dvd") + size(index, ".dvm"));
    parts.put("points", size(index, ".kdd") + size(index, ".kdi") + size(index, ".kdm"));
    return parts;
  }

  private static void delete(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      return;
    }
    List<Path> deepestFirst;
    try (Stream<Path> paths = Files.walk(folder)) {
      deepestFirst = paths.sorted(Comparator.reverseOrder()).toList();
    }
    for (Path path : deepestFirst) {
      Files.delete(path);
    }
  }
}
