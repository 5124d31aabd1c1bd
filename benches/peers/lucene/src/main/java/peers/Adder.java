package peers;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.NumericDocValuesField;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexableField;

/** Adds documents to a writer by several threads, which take them in turn from one file. */
final class Adder {
  /** Documents a thread takes at a time: neighbours stay neighbours, and the threads end together. */
  private static final int BATCH = 512;

  private final Work work;
  private final RecordFile documents;
  private final int[] order;
  private final Layout layout;
  private final AtomicInteger taken = new AtomicInteger();

  /** Adds {@code documents} as they come, or in {@code order} where that is not null. */
  Adder(Work work, RecordFile documents, int[] order, Layout layout) {
    this.work = work;
    this.documents = documents;
    this.order = order;
    this.layout = layout;
  }

  void addAll(IndexWriter writer, int threads) throws IOException {
    ExecutorService pool = Executors.newFixedThreadPool(threads);
    try {
      List<Future<?>> running = new ArrayList<>();
      for (int i = 0; i < threads; i++) {
        running.add(
            pool.submit(
                () -> {
                  addBatches(writer);
                  return null;
                }));
      }
      for (Future<?> thread : running) {
        thread.get();
      }
    } catch (ExecutionException error) {
      throw new IOException("a thread that adds documents failed", error.getCause());
    } catch (InterruptedException error) {
      throw new UncheckedIOException(new IOException(error));
    } finally {
      pool.shutdownNow();
    }
  }

  private void addBatches(IndexWriter writer) throws IOException {
    RecordFile.Reader record = documents.reader();
    // One document serves for all: its fields are pointed at the next record.
    Layout.TermStream terms = layout.newTermStream();
    NumericDocValuesField number = new NumericDocValuesField(Layout.NUMBER, 0);
    Layout.Columns columns = layout.newColumns(work);
    List<IndexableField> document = new ArrayList<>(columns.fields());
    document.add(new Field(Layout.TERMS, terms, layout.fieldType()));
    document.add(number);
    while (true) {
      int start = taken.getAndAdd(BATCH);
      if (start >= documents.size()) {
        return;
      }
      int end = Math.min(start + BATCH, documents.size());
      for (int i = start; i < end; i++) {
        int next = order == null ? i : order[i];
        record.read(next);
        terms.set(record);
        number.setLongValue(next);
        columns.set(next);
        writer.addDocument(document);
      }
    }
  }
}
