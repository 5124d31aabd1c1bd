package peers;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** One piece of work: a folder with documents and queries, as the README beside the drivers lays it out. */
record Work(Path folder, String kind, int documents) {
  static Work open(Path folder) throws IOException {
    String text = Files.readString(folder.resolve("work.json"));
    String kind = find(text, "\"kind\"\\s*:\\s*\"(\\w+)\"");
    String documents = find(text, "\"documents\"\\s*:\\s*(\\d+)");
    return new Work(folder, kind, Integer.parseInt(documents));
  }

  // Two known entries of a flat object: not worth a JSON library.
  private static String find(String text, String pattern) throws IOException {
    Matcher matcher = Pattern.compile(pattern).matcher(text);
    if (!matcher.find()) {
      throw new IOException("work.json: expected an entry like " + pattern + ", found: " + text);
    }
    return matcher.group(1);
  }

  RecordFile openDocuments() throws IOException {
    RecordFile file = open("documents");
    if (file.size() != documents) {
      throw new IOException("work.json promises " + documents + " documents, the file holds " + file.size());
    }
    return file;
  }

  /** The queries that a mode is measured with. */
  RecordFile openQueries(String mode) throws IOException {
    return open(kind.equals("forms") ? mode.substring(0, mode.indexOf('/')) : "queries");
  }

  /** Reads a number and the number of a keyword for each document, as little-endian u32. */
  int[] readColumns() throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(folder.resolve("columns.bin"))).order(ByteOrder.LITTLE_ENDIAN);
    if (bytes.remaining() != documents * 8L) {
      throw new IOException("columns.bin: expected " + documents * 8L + " bytes, found " + bytes.remaining());
    }
    int[] columns = new int[2 * documents];
    bytes.asIntBuffer().get(columns);
    return columns;
  }

  private RecordFile open(String name) throws IOException {
    return switch (kind) {
      case "text", "forms" -> RecordFile.ofLines(folder, name + ".txt");
      case "sparse" -> RecordFile.ofVectors(folder, name + ".bin");
      default -> throw new IOException("work.json: expected kind text, sparse or forms, found: " + kind);
    };
  }

  /** Reads the order to add documents in: the number of each document once, as little-endian u32. */
  int[] readOrder(Path file) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    if (bytes.remaining() != documents * 4L) {
      throw new IOException(file + ": expected " + documents * 4L + " bytes, found " + bytes.remaining());
    }
    int[] order = new int[documents];
    bytes.asIntBuffer().get(order);
    BitSet seen = new BitSet(documents);
    for (int number : order) {
      if (number < 0 || number >= documents || seen.get(number)) {
        throw new IOException(file + ": expected each document once, found " + number + " out of range or twice");
      }
      seen.set(number);
    }
    return order;
  }
}
