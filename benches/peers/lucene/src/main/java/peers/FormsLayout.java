package peers;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.apache.lucene.document.Field.Store;
import org.apache.lucene.document.IntField;
import org.apache.lucene.document.KeywordField;
import org.apache.lucene.index.IndexOptions;
import org.apache.lucene.index.IndexableField;
import org.apache.lucene.index.Term;
import org.apache.lucene.search.BooleanClause.Occur;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.FuzzyQuery;
import org.apache.lucene.search.MultiTermQuery;
import org.apache.lucene.search.PhraseQuery;
import org.apache.lucene.search.PrefixQuery;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.TermQuery;

/** Text with positions and columns, and queries of many forms; the grammar of their lines is in the README. */
final class FormsLayout extends TextLayout {
  /** The column of numbers, and that of keywords. */
  static final String VALUE = "value";

  static final String KEYWORD = "keyword";

  private static final List<String> FORMS =
      List.of(
          "union", "intersection", "must-should", "negation", "phrase-2", "phrase-3", "prefix", "fuzzy-1", "fuzzy-2");
  private static final List<String> SELECTIVITIES = List.of("0.001", "0.01", "0.1", "0.5");

  @Override
  public String kind() {
    return "forms";
  }

  /** A form and a task. Where all queries have the same filter, it is cached: without, it were one of many. */
  @Override
  public List<String> modes() {
    List<String> forms = new ArrayList<>(FORMS);
    List<String> cached = new ArrayList<>();
    for (String selectivity : SELECTIVITIES) {
      String filter = "filter-" + selectivity;
      forms.add(filter + "-new");
      cached.add(filter + "-same/top" + CACHED);
      cached.add(filter + "-same/count" + CACHED);
    }
    List<String> modes = new ArrayList<>();
    for (String form : forms) {
      modes.add(form + "/top");
      modes.add(form + "/count");
    }
    modes.add("union/sort");
    modes.add("union/facets");
    return Stream.concat(modes.stream(), cached.stream()).toList();
  }

  @Override
  public double warmSeconds() {
    // There are many modes.
    return 2;
  }

  @Override
  public IndexOptions indexOptions() {
    return IndexOptions.DOCS_AND_FREQS_AND_POSITIONS;
  }

  @Override
  public Columns newColumns(Work work) throws IOException {
    int[] columns = work.readColumns();
    IntField value = new IntField(VALUE, 0, Store.NO);
    KeywordField keyword = new KeywordField(KEYWORD, "", Store.NO);
    return new Columns() {
      @Override
      public List<IndexableField> fields() {
        return List.of(value, keyword);
      }

      @Override
      public void set(int document) {
        value.setIntValue(columns[2 * document]);
        keyword.setStringValue(String.format("k%03d", columns[2 * document + 1]));
      }
    };
  }

  @Override
  public Query parse(RecordFile.Reader record) {
    String line = new String(record.bytes(), 0, record.length(), StandardCharsets.UTF_8);
    if (line.startsWith("\"")) {
      return new PhraseQuery(TERMS, line.substring(1, line.length() - 1).split(" "));
    }
    BooleanQuery.Builder query = new BooleanQuery.Builder();
    Query range = null;
    for (String part : line.split(" ")) {
      int tilde = part.indexOf('~');
      if (part.startsWith("+")) {
        query.add(scored(part.substring(1)), Occur.MUST);
      } else if (part.startsWith("-")) {
        query.add(scored(part.substring(1)), Occur.MUST_NOT);
      } else if (part.startsWith("#")) {
        String[] bounds = part.substring(1).split("\\.\\.");
        range = IntField.newRangeQuery(VALUE, Integer.parseInt(bounds[0]), Integer.parseInt(bounds[1]));
      } else if (part.endsWith("*")) {
        return new PrefixQuery(term(part.substring(0, part.length() - 1)));
      } else if (tilde >= 0) {
        int edits = Integer.parseInt(part.substring(tilde + 1));
        Term term = term(part.substring(0, tilde));
        // All terms, with constant scores: the default scores the 50 nearest.
        return new FuzzyQuery(
            term, edits, 0, Integer.MAX_VALUE, true, MultiTermQuery.CONSTANT_SCORE_BLENDED_REWRITE);
      } else {
        query.add(scored(part), Occur.SHOULD);
      }
    }
    if (range == null) {
      return query.build();
    }
    return new BooleanQuery.Builder().add(query.build(), Occur.MUST).add(range, Occur.FILTER).build();
  }

  private static Term term(String text) {
    return new Term(TERMS, text);
  }

  private static Query scored(String text) {
    return new TermQuery(term(text));
  }
}
