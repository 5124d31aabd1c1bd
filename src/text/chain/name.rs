//! Names of chains: parsing, canonical form, errors.

use std::borrow::Cow;

use super::Chain;
use super::grams::Span;
use super::part::{Part, Step};
use super::split::{SPLITS, Split};
use crate::error::{Error, Result};
use crate::text::escape;
use crate::text::language::Language;

/// Separates the parts of a chain.
const SEPARATOR: &str = "|";

/// Bytes of the name of a chain. Every commit of an index holds it.
const MAX_NAME_BYTES: usize = 64 << 10;
/// Filters of a chain.
const MAX_FILTERS: usize = 32;
/// Characters of an n-gram: that many fit into a term of an index, whatever they are.
const MAX_GRAM: usize = 63;
/// Lengths that the n-grams of a term have: each is about one more term per character.
const MAX_GRAM_LENGTHS: usize = 10;
/// Characters of a term that the filter `length` can name; an index has no longer terms.
const MAX_LENGTH: usize = 255;
/// Characters of a name that an error repeats: lists of stop words are long.
const MAX_SHOWN: usize = 120;

/// The filters, as errors list them.
const FILTERS: &str = "`edge-ngram:MIN-MAX`, `elision:LANG`, `fold`, `length:MIN-MAX`, `lowercase`, `lowercase:LANG`, \
                       `nfkc`, `ngram:MIN-MAX`, `normalize:LANG`, `parts`, `possessive:LANG`, `stem:LANG`, `stop:LANG`, \
                       `stop:WORD,WORD`";

/// True if `name` is that of a chain rather than of a language: it has several parts, a part with
/// an argument, or is the name of a tokenizer.
pub(in crate::text) fn is_chain(name: &str) -> bool {
    name.contains([':', '|']) || Split::find(name.trim()).is_some()
}

/// The canonical name of a chain, and the chain.
pub(in crate::text) fn parse(name: &str) -> Result<(String, Chain)> {
    check_length(name)?;
    let mut split = Split::Standard;
    let mut parts: Vec<Part> = Vec::new();
    for (number, text) in (1..).zip(escape::split(name, SEPARATOR)) {
        let place = Place::new(name, number, text);
        if number == 1 {
            split = place.tokenizer()?;
            // N-grams in the first place are those of the standard tokenizer's words.
            if !place.is_ngram() {
                continue;
            }
        }
        let part = place.filter()?;
        place.check_beside(&part, &parts)?;
        parts.push(part);
    }
    let canonical = canonical(split, &parts);
    check_length(&canonical)?;
    Ok((canonical, Chain::new(split, &parts)))
}

fn check_length(name: &str) -> Result<()> {
    match name.len() <= MAX_NAME_BYTES {
        true => Ok(()),
        false => {
            let (found, limit) = (name.len() as u64, MAX_NAME_BYTES as u64);
            Err(Error::limit(
                "bytes of the name of an analyzer",
                found,
                limit,
            ))
        }
    }
}

/// The name of a chain that [`parse`] makes the same chain of.
fn canonical(split: Split, parts: &[Part]) -> String {
    let mut name = split.name().to_owned();
    for part in parts {
        name.push_str(SEPARATOR);
        part.append_to(&mut name);
    }
    name
}

/// Appends `words` as a part of a chain: escaped, and with a comma even after a single word, which
/// would be the name of a language without one.
pub(super) fn push_words<'a>(words: impl IntoIterator<Item = &'a str>, name: &mut String) {
    name.push_str("stop:");
    let mut count = 0;
    for word in words {
        if count > 0 {
            name.push(',');
        }
        escape::push_escaped(word, &[',', '|'], name);
        count += 1;
    }
    if count == 1 {
        name.push(',');
    }
}

impl Part {
    fn append_to(&self, name: &mut String) {
        match self {
            Self::EdgeNgram(span) => push_span("edge-ngram", *span, name),
            Self::Fold => name.push_str("fold"),
            Self::Language(step, language, _) => {
                name.push_str(step.name());
                name.push(':');
                name.push_str(language.code());
            }
            Self::Length(span) => push_span("length", *span, name),
            Self::Lowercase => name.push_str("lowercase"),
            Self::Ngram(span) => push_span("ngram", *span, name),
            Self::Nfkc => name.push_str("nfkc"),
            Self::Parts => name.push_str("parts"),
            Self::StopWords(words) => push_words(words.iter().map(String::as_str), name),
        }
    }
}

fn push_span(kind: &str, span: Span, name: &mut String) {
    name.push_str(&format!("{kind}:{}-{}", span.min, span.max));
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Elision => "elision",
            Self::Lowercase => "lowercase",
            Self::Normalize => "normalize",
            Self::Possessive => "possessive",
            Self::Stem => "stem",
            Self::Stop => "stop",
        }
    }

    /// What a language without the step lacks.
    fn what(self) -> &'static str {
        match self {
            Self::Elision => "elided words to drop",
            Self::Lowercase => "case of letters",
            Self::Normalize => "letters to unify",
            Self::Possessive => "possessive endings to drop",
            Self::Stem => "stemmer",
            Self::Stop => "list of stop words",
        }
    }
}

/// The beginning of a text that may be long.
fn shown(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// One part of a name, with what its errors say.
struct Place<'a> {
    /// The whole name.
    name: &'a str,
    /// Place of the part in the chain, from 1.
    number: usize,
    text: &'a str,
    kind: String,
    argument: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn new(name: &'a str, number: usize, text: &'a str) -> Self {
        let text = text.trim();
        let (kind, argument) = match text.split_once(':') {
            Some((kind, argument)) => (kind.trim_end(), Some(argument.trim())),
            None => (text, None),
        };
        Self {
            name,
            number,
            text,
            kind: kind.to_ascii_lowercase(),
            argument,
        }
    }

    fn error(&self, message: &str) -> Error {
        Error::invalid(format!(
            "analyzer `{}`: part {}, `{}`: {message}",
            shown(self.name.trim()),
            self.number,
            shown(self.text)
        ))
    }

    fn is_ngram(&self) -> bool {
        matches!(self.kind.as_str(), "edge-ngram" | "ngram")
    }

    fn tokenizer(&self) -> Result<Split> {
        if self.is_ngram() {
            return Ok(Split::Standard);
        }
        match Split::find(&self.kind) {
            Some(split) => self.without_argument(split),
            None => {
                let known: Vec<_> = SPLITS.iter().map(|(name, _)| format!("`{name}`")).collect();
                Err(self.error(&format!(
                    "a chain begins with a tokenizer, one of {}, `ngram:MIN-MAX`, `edge-ngram:MIN-MAX`; \
                     filters follow it",
                    known.join(", ")
                )))
            }
        }
    }

    fn filter(&self) -> Result<Part> {
        match self.kind.as_str() {
            "edge-ngram" => Ok(Part::EdgeNgram(self.span(MAX_GRAM)?)),
            "elision" => self.step(Step::Elision),
            "fold" => self.without_argument(Part::Fold),
            "length" => Ok(Part::Length(self.span(MAX_LENGTH)?)),
            "lowercase" if self.argument.is_none() => Ok(Part::Lowercase),
            "lowercase" => self.step(Step::Lowercase),
            "nfkc" => self.without_argument(Part::Nfkc),
            "ngram" => Ok(Part::Ngram(self.gram_span()?)),
            "normalize" => self.step(Step::Normalize),
            "parts" => self.without_argument(Part::Parts),
            "possessive" => self.step(Step::Possessive),
            "stem" => self.step(Step::Stem),
            "stop" if self.argument.is_some_and(|words| words.contains(',')) => self.stop_words(),
            "stop" => self.step(Step::Stop),
            kind if Split::find(kind).is_some() => {
                Err(self.error("only the first part of a chain is a tokenizer"))
            }
            _ => Err(self.error(&format!("unknown filter; expected one of {FILTERS}"))),
        }
    }

    /// Checks that a chain is not too long, and that no two filters multiply the number of terms.
    fn check_beside(&self, part: &Part, before: &[Part]) -> Result<()> {
        if before.len() == MAX_FILTERS {
            return Err(self.error(&format!("expected at most {MAX_FILTERS} filters")));
        }
        if part.is_ngram() && before.iter().any(Part::is_ngram) {
            return Err(self.error("expected no second filter of n-grams"));
        }
        let is_parts = |part: &Part| matches!(part, Part::Parts);
        if is_parts(part) && before.iter().any(is_parts) {
            return Err(self.error("expected no second filter of this kind"));
        }
        Ok(())
    }

    fn without_argument<T>(&self, part: T) -> Result<T> {
        match self.argument {
            None => Ok(part),
            Some(_) => Err(self.error(&format!("expected `{}` without an argument", self.kind))),
        }
    }

    fn step(&self, step: Step) -> Result<Part> {
        let expected = |what: String| {
            let own = match step {
                Step::Stop => "; own stop words have a comma, as in `stop:foo,bar` or `stop:foo,`",
                _ => "",
            };
            let codes = step.codes().join(", ");
            self.error(&format!("{what}; expected one of {codes}{own}"))
        };
        let name = self.argument.unwrap_or_default();
        let language = Language::find(name);
        let language = language.ok_or_else(|| match self.argument {
            None | Some("") => expected("no language is named".to_owned()),
            Some(name) => expected(format!("unknown language `{name}`")),
        })?;
        let rules = step
            .rules_of(language)
            .ok_or_else(|| expected(format!("{} has no {}", language.name(), step.what())))?;
        Ok(Part::Language(step, language, rules))
    }

    fn stop_words(&self) -> Result<Part> {
        let mut words = Vec::new();
        for word in escape::split(self.argument.unwrap_or_default(), ",") {
            let word = escape::unescape(word.trim()).ok_or_else(|| {
                self.error(
                    "a backslash at the end escapes nothing; expected `\\\\` for a backslash",
                )
            })?;
            words.push(word.trim().to_owned());
        }
        words.retain(|word| !word.is_empty());
        words.sort_unstable();
        words.dedup();
        match words.is_empty() {
            true => Err(self.error("expected stop words, separated by commas")),
            false => Ok(Part::StopWords(words)),
        }
    }

    /// The argument of `ngram`.
    fn gram_span(&self) -> Result<Span> {
        let span = self.span(MAX_GRAM)?;
        match span.max - span.min < MAX_GRAM_LENGTHS {
            true => Ok(span),
            false => Err(self.error(&format!(
                "found n-grams of {} lengths; expected at most {MAX_GRAM_LENGTHS} lengths",
                span.max - span.min + 1
            ))),
        }
    }

    /// The argument: two numbers of characters, or one that is both.
    fn span(&self, max: usize) -> Result<Span> {
        let argument = self.argument.unwrap_or_default();
        let (low, high) = argument.split_once('-').unwrap_or((argument, argument));
        let number = |text: &str| {
            let digits = text.trim();
            let are_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
            are_digits.then(|| digits.parse::<usize>().ok()).flatten()
        };
        match (number(low), number(high)) {
            (Some(low), Some(high)) if 1 <= low && low <= high && high <= max => {
                Ok(Span { min: low, max: high })
            }
            _ => Err(self.error(&format!(
                "expected the min and the max number of characters, from 1 to {max}, as in `{}:2-4`",
                self.kind
            ))),
        }
    }
}
