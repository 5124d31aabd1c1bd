//! Text for an analyzer: the first byte chooses a language or a chain, the second its options; with
//! the last of the first bytes the first line of the text is the analyzer's name.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use esparsa::text::{Analyzer, Synonyms, languages};

/// Chains that have every part.
const CHAINS: [&str; 12] = [
    "standard",
    "whitespace|nfkc|lowercase|fold",
    "letters|fold|lowercase:tr|length:2-5",
    "keyword|lowercase",
    "keyword|nfkc|lowercase|edge-ngram:1-8",
    "standard|lowercase|edge-ngram:2-10",
    "standard|parts|lowercase|ngram:2-3|length:1-2",
    "whitespace|lowercase|possessive:en|stop:en|stop:foo,bar|stem:en",
    "standard|lowercase:ga|elision:ga|stop:ga|stem:ga",
    "standard|lowercase|normalize:hi|stem:hi|edge-ngram:1-3",
    "standard|stem:sr|fold|stem:pt|stem:fr|stem:da",
    "keyword|stop:a\\,b,c\\|d,\\\\",
];
const OPTIONS: [&str; 8] = [
    "",
    "+fold",
    "+parts",
    "+stopwords",
    "+fold+parts",
    "+compounds",
    "+parts+stopwords",
    "+fold+parts+stopwords",
];
/// A first byte that is followed by a name.
const NAMED: u8 = 255;

fn known() -> &'static [Analyzer] {
    static KNOWN: OnceLock<Vec<Analyzer>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let codes = languages().map(|language| language.code());
        let bases = codes.chain(["simple"]);
        let names = bases.flat_map(|base| OPTIONS.map(|options| format!("{base}{options}")));
        let names = names.chain(CHAINS.map(str::to_owned));
        // Not every language has every option.
        names
            .filter_map(|name| Analyzer::named(&name).ok())
            .collect()
    })
}

pub fn run(bytes: &[u8]) {
    let Some((&[first, second], bytes)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    if first == NAMED {
        let (name, text) = text.split_once('\n').unwrap_or((text, text));
        if let Ok(analyzer) = Analyzer::named(name) {
            let again = Analyzer::named(analyzer.name()).expect("the name of an analyzer");
            assert_eq!(again.name(), analyzer.name());
            check(&analyzer, text);
        }
        return;
    }
    let known = known();
    let analyzer = &known[(usize::from(first) + 255 * usize::from(second)) % known.len()];
    check(analyzer, text);
    let terms = terms_of(analyzer, text);
    analyzer.analyze_query(text, &mut |term, _| {
        assert!(terms.contains(term), "{}: {term:?}", analyzer.name());
    });
}

fn terms_of(analyzer: &Analyzer, text: &str) -> BTreeSet<String> {
    let mut terms = BTreeSet::new();
    analyzer.analyze(text, &mut |term, _| {
        terms.insert(term.to_owned());
    });
    terms
}

fn check(analyzer: &Analyzer, text: &str) {
    let name = analyzer.name();
    let mut before = (0, 0);
    analyzer.words(text, &mut |word| {
        let (start, end) = (word.start, word.end);
        assert!(!word.text.is_empty() && start < end, "{name}");
        assert!(
            text.is_char_boundary(start) && text.is_char_boundary(end),
            "{name}"
        );
        assert!(
            start >= before.0 && end >= before.1,
            "{name}: {:?}",
            word.text
        );
        before = (start, end);
    });
    let in_text = |term: &str, start: usize, end: usize| {
        assert!(
            !term.is_empty() && text.get(start..end).is_some(),
            "{name}: {term:?}"
        );
    };
    analyzer.analyze(text, &mut |term, range| {
        in_text(term, range.start, range.end)
    });
    analyzer.analyze_query(text, &mut |term, range| {
        in_text(term, range.start, range.end)
    });
    let mut last = 0;
    analyzer.positions(text, &mut |term, position, range| {
        in_text(term, range.start, range.end);
        assert!(position >= last, "{name}: {term:?}");
        last = position;
    });
    analyzer.query_positions(text, &mut |term, _, range| {
        in_text(term, range.start, range.end)
    });
    let _ = analyzer.normalize(text);
    if let Ok(synonyms) = Synonyms::parse(text)
        && let Ok(synonyms) = synonyms.for_analyzer(analyzer)
    {
        let _ = synonyms.expand_text(text);
    }
}
