package peers;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import org.apache.lucene.store.IOContext;
import org.apache.lucene.store.IndexInput;
import org.apache.lucene.store.MMapDirectory;

/**
 * A file of records, lines or sparse vectors, each of which any thread may read in any order.
 *
 * <p>Lucene's own directory maps the file, since plain Java buffers end at 2 GB and documents do not.
 */
final class RecordFile implements Closeable {
  private static final int SCAN_BYTES = 1 << 20;

  private final MMapDirectory directory;
  private final IndexInput input;
  /** Where each record starts; one entry more for the end of the last. */
  private long[] starts = new long[1024];
  private int size;
  /** Bytes between the end of a record and the start of the next: the end of a line. */
  private final int separator;

  private RecordFile(Path folder, String name, int separator) throws IOException {
    this.separator = separator;
    directory = new MMapDirectory(folder);
    input = directory.openInput(name, IOContext.DEFAULT);
  }

  /** Opens a text file with one record a line. */
  static RecordFile ofLines(Path folder, String name) throws IOException {
    RecordFile file = new RecordFile(folder, name, 1);
    byte[] block = new byte[SCAN_BYTES];
    long length = file.input.length();
    long start = 0;
    for (long at = 0; at < length; at += SCAN_BYTES) {
      int count = (int) Math.min(SCAN_BYTES, length - at);
      file.input.readBytes(block, 0, count);
      for (int i = 0; i < count; i++) {
        if (block[i] == '\n') {
          file.add(start);
          start = at + i + 1;
        }
      }
    }
    if (start < length) { // the last line has no end
      file.add(start);
      start = length + 1;
    }
    file.starts[file.size] = start;
    return file;
  }

  /** Opens a file of sparse vectors: u16 number of terms, so many u16 terms, so many u8 weights. */
  static RecordFile ofVectors(Path folder, String name) throws IOException {
    RecordFile file = new RecordFile(folder, name, 0);
    long length = file.input.length();
    long start = 0;
    while (start < length) {
      file.add(start);
      file.input.seek(start);
      start += 2 + 3L * Short.toUnsignedInt(file.input.readShort());
    }
    if (start != length) {
      throw new IOException(name + ": expected its last vector to end at " + length + ", found " + start);
    }
    file.starts[file.size] = start;
    return file;
  }

  private void add(long start) {
    if (size + 2 > starts.length) {
      starts = Arrays.copyOf(starts, starts.length * 2);
    }
    starts[size++] = start;
  }

  int size() {
    return size;
  }

  /** A reader for one thread. */
  Reader reader() {
    return new Reader(input.clone());
  }

  @Override
  public void close() throws IOException {
    input.close();
    directory.close();
  }

  /** Reads records, one at a time, into a buffer of its own. */
  final class Reader {
    private final IndexInput source;
    private byte[] bytes = new byte[1 << 12];
    private int length;

    private Reader(IndexInput source) {
      this.source = source;
    }

    void read(int record) throws IOException {
      length = Math.toIntExact(starts[record + 1] - starts[record] - separator);
      if (length > bytes.length) {
        bytes = new byte[length * 2];
      }
      source.seek(starts[record]);
      source.readBytes(bytes, 0, length);
    }

    /** The buffer of the record last read; only its first {@link #length} bytes count. */
    byte[] bytes() {
      return bytes;
    }

    int length() {
      return length;
    }
  }
}
