package peers;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.lucene.analysis.tokenattributes.BytesTermAttribute;
import org.apache.lucene.index.Term;
import org.apache.lucene.search.BooleanClause.Occur;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.BoostQuery;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.TermQuery;
import org.apache.lucene.search.similarities.BM25Similarity;
import org.apache.lucene.search.similarities.Similarity;
import org.apache.lucene.util.BytesRef;

/** Text searched by BM25: terms with their frequencies, and lengths rounded to a byte as Lucene always does. */
class TextLayout implements Layout {
  @Override
  public String kind() {
    return "text";
  }

  @Override
  public List<String> modes() {
    return List.of("default");
  }

  @Override
  public String note() {
    return "BM25 k1=1.2 b=0.75, document lengths rounded to one byte";
  }

  @Override
  public Similarity similarity() {
    return new BM25Similarity(1.2f, 0.75f);
  }

  @Override
  public boolean hasLengths() {
    return true;
  }

  @Override
  public TermStream newTermStream() {
    return new SpaceStream();
  }

  @Override
  public Query parse(RecordFile.Reader record) {
    // A term that stands twice counts twice. Lucene would merge the two by itself, at each search.
    Map<BytesRef, Integer> counts = new LinkedHashMap<>();
    byte[] bytes = record.bytes();
    for (int start = 0; start < record.length(); ) {
      int end = endOfTerm(bytes, start, record.length());
      if (end > start) {
        counts.merge(BytesRef.deepCopyOf(new BytesRef(bytes, start, end - start)), 1, Integer::sum);
      }
      start = end + 1;
    }
    BooleanQuery.Builder query = new BooleanQuery.Builder();
    counts.forEach(
        (bytesOfTerm, count) -> {
          Query term = new TermQuery(new Term(TERMS, bytesOfTerm));
          query.add(count == 1 ? term : new BoostQuery(term, count), Occur.SHOULD);
        });
    return query.build();
  }

  @Override
  public void appendScore(StringBuilder line, float score) {
    line.append(score);
  }

  private static int endOfTerm(byte[] bytes, int start, int length) {
    int end = start;
    while (end < length && bytes[end] != ' ') {
      end++;
    }
    return end;
  }

  /** Splits at spaces, and at nothing else, without a detour by way of Java strings. */
  private static final class SpaceStream extends TermStream {
    private final BytesTermAttribute attribute = addAttribute(BytesTermAttribute.class);
    private final BytesRef term = new BytesRef();
    private int next;

    @Override
    public void reset() {
      next = 0;
      term.bytes = bytes;
    }

    @Override
    public boolean incrementToken() {
      while (next < length) {
        int start = next;
        int end = endOfTerm(bytes, start, length);
        next = end + 1;
        if (end > start) {
          clearAttributes();
          term.offset = start;
          term.length = end - start;
          attribute.setBytesRef(term);
          return true;
        }
      }
      return false;
    }
  }
}
