package peers;

import java.io.IOException;
import org.apache.lucene.document.IntField;
import org.apache.lucene.facet.FacetResult;
import org.apache.lucene.facet.FacetsCollectorManager;
import org.apache.lucene.facet.StringDocValuesReaderState;
import org.apache.lucene.facet.StringValueFacetCounts;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.LeafReader;
import org.apache.lucene.index.NumericDocValues;
import org.apache.lucene.search.FieldDoc;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.Sort;
import org.apache.lucene.search.SortField;
import org.apache.lucene.search.SortedNumericSelector;
import org.apache.lucene.search.TopDocs;
import org.apache.lucene.search.TopFieldCollectorManager;
import org.apache.lucene.search.TopScoreDocCollectorManager;

/** What is done with a query: the search, which is timed, and what it found as numbers, which is not. */
interface Task {
  /** Pruning starts as soon as k documents are found: Lucene takes the greater of this and k. */
  int HITS_TO_COUNT = 1;

  /** Keywords that are counted. */
  int MAX_FACETS = 10;

  /** Documents by their numbers in the work, or keywords, and scores, values or counts. */
  record Hits(int[] numbers, float[] values) {}

  Object search(IndexSearcher searcher, Query query) throws IOException;

  Hits hits(Object found);

  /** The task of a mode: the part of it behind a slash, or the best documents. */
  static Task of(String mode, int k, DirectoryReader reader) throws IOException {
    String[] parts = mode.split("/");
    int[] numbers = numbers(reader.leaves().getFirst().reader());
    return switch (parts.length > 1 ? parts[1] : "top") {
      case "top" -> new Top(k, numbers);
      case "sort" -> new Sorted(k, numbers);
      case "count" -> new Count();
      case "facets" -> new Facets(new StringDocValuesReaderState(reader, FormsLayout.KEYWORD));
      default -> throw new IOException("no such task: " + mode);
    };
  }

  private static int[] numbers(LeafReader segment) throws IOException {
    int[] numbers = new int[segment.maxDoc()];
    NumericDocValues values = segment.getNumericDocValues(Layout.NUMBER);
    for (int doc = 0; doc < numbers.length; doc++) {
      if (!values.advanceExact(doc)) {
        throw new IOException("document " + doc + " of the index has no number");
      }
      numbers[doc] = (int) values.longValue();
    }
    return numbers;
  }

  /** The best documents. */
  record Top(int k, int[] numbers) implements Task {
    @Override
    public Object search(IndexSearcher searcher, Query query) throws IOException {
      return searcher.search(query, new TopScoreDocCollectorManager(k, HITS_TO_COUNT));
    }

    @Override
    public Hits hits(Object found) {
      ScoreDoc[] docs = ((TopDocs) found).scoreDocs;
      Hits hits = new Hits(new int[docs.length], new float[docs.length]);
      for (int rank = 0; rank < docs.length; rank++) {
        hits.numbers[rank] = numbers[docs[rank].doc];
        hits.values[rank] = docs[rank].score;
      }
      return hits;
    }
  }

  /** The documents with the lowest values. */
  record Sorted(int k, int[] numbers, Sort sort) implements Task {
    Sorted(int k, int[] numbers) {
      this(k, numbers, new Sort(byValue()));
    }

    private static SortField byValue() {
      return IntField.newSortField(FormsLayout.VALUE, false, SortedNumericSelector.Type.MIN);
    }

    @Override
    public Object search(IndexSearcher searcher, Query query) throws IOException {
      return searcher.search(query, new TopFieldCollectorManager(sort, k, HITS_TO_COUNT));
    }

    @Override
    public Hits hits(Object found) {
      ScoreDoc[] docs = ((TopDocs) found).scoreDocs;
      Hits hits = new Hits(new int[docs.length], new float[docs.length]);
      for (int rank = 0; rank < docs.length; rank++) {
        hits.numbers[rank] = numbers[docs[rank].doc];
        hits.values[rank] = ((Number) ((FieldDoc) docs[rank]).fields[0]).floatValue();
      }
      return hits;
    }
  }

  /** How many documents match. */
  record Count() implements Task {
    @Override
    public Object search(IndexSearcher searcher, Query query) throws IOException {
      return searcher.count(query);
    }

    @Override
    public Hits hits(Object found) {
      return new Hits(new int[1], new float[] {(Integer) found});
    }
  }

  /** The keywords that most of the matching documents have. */
  record Facets(StringDocValuesReaderState state) implements Task {
    @Override
    public Object search(IndexSearcher searcher, Query query) throws IOException {
      StringValueFacetCounts counts =
          new StringValueFacetCounts(state, searcher.search(query, new FacetsCollectorManager()));
      return counts.getTopChildren(MAX_FACETS, FormsLayout.KEYWORD);
    }

    @Override
    public Hits hits(Object found) {
      FacetResult facets = (FacetResult) found;
      int length = facets == null ? 0 : facets.labelValues.length;
      Hits hits = new Hits(new int[length], new float[length]);
      for (int rank = 0; rank < length; rank++) {
        hits.numbers[rank] = Integer.parseInt(facets.labelValues[rank].label.substring(1));
        hits.values[rank] = facets.labelValues[rank].value.floatValue();
      }
      return hits;
    }
  }
}
