package peers;

import java.io.IOException;
import java.util.List;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.document.FieldType;
import org.apache.lucene.index.IndexOptions;
import org.apache.lucene.index.IndexableField;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.similarities.Similarity;

/** How one kind of work becomes a field of Lucene's and a query of Lucene's. */
interface Layout {
  /** The field with the terms. */
  String TERMS = "terms";

  /** The field, doc values only, with the number of the document. */
  String NUMBER = "number";

  String CACHED = "/cache";

  List<Layout> ALL = List.of(new TextLayout(), new ImpactLayout(), new FormsLayout());

  static Layout of(String kind) throws IOException {
    for (Layout layout : ALL) {
      if (layout.kind().equals(kind)) {
        return layout;
      }
    }
    throw new IOException("no layout for work of kind " + kind);
  }

  String kind();

  /** The modes of searches; with those that end in {@link #CACHED}, Lucene keeps the filters that come again. */
  List<String> modes();

  /** What the note says of this layout. */
  String note();

  Similarity similarity();

  /** Whether the field keeps the length of each document. */
  boolean hasLengths();

  /** Makes the stream that turns records into terms; one stream serves one thread for many documents. */
  TermStream newTermStream();

  /** Turns the record last read into a query. */
  Query parse(RecordFile.Reader record);

  /** Writes a score as the benchmark wants it. */
  void appendScore(StringBuilder line, float score);

  default IndexOptions indexOptions() {
    return IndexOptions.DOCS_AND_FREQS;
  }

  /** Makes the columns of one thread's documents. */
  default Columns newColumns(Work work) throws IOException {
    return new Columns() {};
  }

  /** For so long searches go on before they are timed, at least. */
  default double warmSeconds() {
    return 5;
  }

  default FieldType fieldType() {
    FieldType type = new FieldType();
    type.setTokenized(true);
    type.setIndexOptions(indexOptions());
    type.setOmitNorms(!hasLengths());
    type.freeze();
    return type;
  }

  /** Fields of a document beside its terms. */
  interface Columns {
    default List<IndexableField> fields() {
      return List.of();
    }

    /** Gives the fields the values of a document. */
    default void set(int document) {}
  }

  /** A stream of the terms of one record. */
  abstract class TermStream extends TokenStream {
    protected byte[] bytes;
    protected int length;

    /** Points the stream at the record last read; its bytes must stay until the document is added. */
    final void set(RecordFile.Reader record) {
      bytes = record.bytes();
      length = record.length();
    }
  }
}
