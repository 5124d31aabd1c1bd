package peers;

import java.io.IOException;
import java.util.List;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.document.FieldType;
import org.apache.lucene.index.IndexOptions;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.similarities.Similarity;

/** How one kind of work becomes a field of Lucene's and a query of Lucene's. */
interface Layout {
  /** The field with the terms. */
  String TERMS = "terms";

  /** The field, doc values only, with the number of the document. */
  String NUMBER = "number";

  List<Layout> ALL = List.of(new TextLayout(), new ImpactLayout());

  static Layout of(String kind) throws IOException {
    for (Layout layout : ALL) {
      if (layout.kind().equals(kind)) {
        return layout;
      }
    }
    throw new IOException("no layout for work of kind " + kind);
  }

  String kind();

  String mode();

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

  default FieldType fieldType() {
    FieldType type = new FieldType();
    type.setTokenized(true);
    type.setIndexOptions(IndexOptions.DOCS_AND_FREQS);
    type.setOmitNorms(!hasLengths());
    type.freeze();
    return type;
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
