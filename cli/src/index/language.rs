//! Detection of the language of texts, for users who do not name one.
//!
//! Texts analyzed as the wrong language are searched badly, without any error, so English is not
//! assumed. Each text of the sample whose language is detected reliably votes for it with its
//! length; a language with more than half of the sample is chosen.

use std::collections::HashMap;

use esparsa::text::{Analyzer, languages};
use whatlang::{Lang, detect};

/// Bytes of each text that are examined.
const TEXT_BYTES: usize = 2_000;
/// Share of the sample, in bytes, that must be in the language.
const SHARE: f64 = 0.5;
/// Min size of a sample in bytes.
const SAMPLE_BYTES: usize = 40;

/// The analyzer for texts of no language known here.
const SIMPLE: &str = "simple";
/// The analyzer for texts whose language is not detected.
const DEFAULT: &str = "english";

/// The analyzer for texts like these, and why.
#[derive(Debug, PartialEq)]
pub struct Detected {
    /// Name of the analyzer.
    pub analyzer: String,
    /// English name of the language, if it was detected.
    pub language: Option<&'static str>,
    /// The detected language, as a message.
    pub reason: String,
}

impl Detected {
    /// Detects the language of the first texts of the input.
    pub fn of(texts: &[String]) -> Self {
        let sampled = || texts.iter().map(|text| start(text));
        let total: usize = sampled().map(str::len).sum();
        let Some(language) = main_language(sampled(), total) else {
            let reason = match texts.iter().all(|text| text.trim().is_empty()) {
                true => {
                    "the first documents have no text; texts that follow are analyzed as English"
                }
                false => {
                    "the language of the texts could not be detected, so they are analyzed as English"
                }
            };
            return Self {
                analyzer: DEFAULT.to_owned(),
                language: None,
                reason: reason.to_owned(),
            };
        };
        let name = language.eng_name();
        match Analyzer::named(language.code()).or_else(|_| Analyzer::named(code_of(language))) {
            Ok(analyzer) => Self {
                analyzer: analyzer.name().to_owned(),
                language: Some(name),
                reason: format!("the texts are detected as {name}"),
            },
            Err(_) => Self {
                analyzer: SIMPLE.to_owned(),
                language: Some(name),
                reason: format!(
                    "the texts are detected as {name}, which has no analyzer, so their words are not stemmed"
                ),
            },
        }
    }

    /// The warning for texts in another language than that of the analyzer of an index, if they
    /// are. An analyzer without a language suits all texts.
    pub fn warning(&self, analyzer: &str) -> Option<String> {
        let language_of = |name: &str| name.split('+').next().unwrap_or_default().to_owned();
        let of_index = language_of(analyzer);
        let has_language = languages().any(|known| known.name().eq_ignore_ascii_case(&of_index));
        let language = self.language.filter(|_| has_language)?;
        (of_index != language_of(&self.analyzer)).then(|| {
            format!(
                "warning: the texts are detected as {language}, and the index analyzes texts as {of_index}, so searches \
                 may miss them; load them into another index, or build a new one"
            )
        })
    }
}

/// The language that more than [`SHARE`] of the texts are in.
fn main_language<'a>(texts: impl Iterator<Item = &'a str>, total: usize) -> Option<Lang> {
    if total < SAMPLE_BYTES {
        return None;
    }
    let mut votes: HashMap<Lang, usize> = HashMap::new();
    for text in texts {
        let info = detect(text).filter(whatlang::Info::is_reliable);
        if let Some(info) = info {
            *votes.entry(info.lang()).or_default() += text.len();
        }
    }
    let (language, bytes) = votes.into_iter().max_by_key(|(_, bytes)| *bytes)?;
    (bytes as f64 > SHARE * total as f64).then_some(language)
}

/// The code of the analyzer's language, where whatlang names a variety of it.
fn code_of(language: Lang) -> &'static str {
    match language {
        Lang::Cmn => "zh",
        Lang::Nob => "no",
        Lang::Pes => "fa",
        language => language.code(),
    }
}

fn start(text: &str) -> &str {
    let mut end = text.len().min(TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn analyzer(texts: &[&str]) -> String {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        Detected::of(&texts).analyzer
    }

    #[test]
    fn most_of_the_sample_decides() {
        let portuguese = "As eleições municipais serão realizadas em outubro, e não há ainda candidatos definidos na cidade.";
        let german = "Die Gemeinde hat am Donnerstag beschlossen, das Schwimmbad über den Winter zu schließen.";
        let english = "The volcano had been quiet for more than a hundred years before it erupted again last winter.";
        assert_eq!(analyzer(&[portuguese]), "portuguese");
        assert_eq!(analyzer(&[german, german, english]), "german");
        assert_eq!(analyzer(&[english, "Etna", "x1"]), "english");
        assert_eq!(
            analyzer(&["서울은 대한민국의 수도이며 가장 큰 도시이다. 한강이 흐른다."]),
            "korean"
        );
        assert_eq!(
            analyzer(&["東京は日本の首都であり、世界でも最大級の都市である。"]),
            "japanese"
        );
        assert_eq!(
            analyzer(&["北京是中华人民共和国的首都,也是全国的政治和文化中心。"]),
            "chinese"
        );
    }

    #[test]
    fn what_cannot_be_told_is_analyzed_as_english_and_said_so() {
        for texts in [
            &["Etna"][..],
            &["x1 x2 x3 0815 4711 a-b-c 3.14159 q8 w7 z9 k2 j4 h5"],
        ] {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            let detected = Detected::of(&texts);
            assert_eq!(detected.analyzer, DEFAULT, "{texts:?}");
            assert!(detected.reason.contains("could not be detected"));
            assert_eq!(detected.warning("german"), None);
        }
        for texts in [vec![], vec![String::new(), " ".to_owned()]] {
            let detected = Detected::of(&texts);
            assert_eq!(detected.analyzer, DEFAULT);
            assert!(detected.reason.contains("have no text"));
        }
    }

    #[test]
    fn texts_in_another_language_than_the_index_are_warned_about() {
        let german = "Die Gemeinde hat am Donnerstag beschlossen, das Schwimmbad über den Winter zu schließen.";
        let detected = Detected::of(&[german.to_owned()]);
        for analyzer in [
            "german",
            "german+fold",
            "simple",
            "custom:own",
            "standard|lowercase|stem:en",
        ] {
            assert_eq!(detected.warning(analyzer), None, "{analyzer}");
        }
        let warning = detected.warning("english+stopwords").unwrap();
        assert!(
            warning.contains("detected as German, and the index analyzes texts as english"),
            "{warning}"
        );
    }

    #[test]
    fn a_language_without_an_analyzer_is_not_stemmed() {
        let georgian = "თბილისი არის საქართველოს დედაქალაქი და უდიდესი ქალაქი, რომელიც მდებარეობს მტკვრის ნაპირას.";
        let detected = Detected::of(&[georgian.to_owned()]);
        assert_eq!(detected.analyzer, SIMPLE);
        assert!(detected.reason.contains("Georgian"), "{}", detected.reason);
    }
}
