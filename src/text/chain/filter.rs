//! Filters: what each part of a chain does to a term.

use unicode_normalization::UnicodeNormalization;

use super::grams::{self, Span};
use super::part::{Part, Step};
use crate::text::elision::{self, Apostrophe};
use crate::text::fold::LetterI;
use crate::text::language::Rules;
use crate::text::letters::{Letters, drop_accents};
use crate::text::normalize::is_normalized;
use crate::text::parts;
use crate::text::stem::Stemmer;
use crate::text::stopwords::{self, StopWords};
use crate::text::western::{with_folded, without_irish_prefix};

/// What terms are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Document,
    /// Words of a query are cut at the max length of edge n-grams, not into n-grams.
    Query,
    /// The beginning of a word, which has no ending to remove: only the filters that change letters
    /// apply, and stemmers only unify letters.
    Beginning,
    /// The spelling of a stop word, as it is when words arrive at the filter of stop words: only
    /// the filters that change letters apply.
    Spelling,
}

/// A filter that is ready to use.
pub(super) enum Filter {
    /// Drops what an apostrophe attaches to a folded word.
    Apostrophe(Apostrophe),
    EdgeNgram(Span),
    Fold,
    Length(Span),
    Lowercase {
        letter_i: LetterI,
        is_irish: bool,
    },
    Letters(Letters),
    Ngram(Span),
    Nfkc,
    Parts,
    Stem {
        letters: Letters,
        stemmer: Stemmer,
    },
    Stop(StopWords),
}

/// Emits the terms that `filters` make of `term`, one after the other.
pub(super) fn run(filters: &[Filter], mode: Mode, term: &str, emit: &mut dyn FnMut(&str)) {
    let Some((filter, rest)) = filters.split_first() else {
        return emit(term);
    };
    filter.apply(mode, term, &mut |term| {
        if !term.is_empty() {
            run(rest, mode, term, emit);
        }
    });
}

impl Filter {
    /// The filter of a part that follows the filters `before`.
    pub fn new(part: &Part, before: &[Filter]) -> Self {
        match part {
            Part::EdgeNgram(span) => Self::EdgeNgram(*span),
            Part::Fold => Self::Fold,
            Part::Language(step, _, rules) => Self::of_language(*step, rules, before),
            Part::Length(span) => Self::Length(*span),
            Part::Lowercase => Self::Lowercase {
                letter_i: LetterI::Dotted,
                is_irish: false,
            },
            Part::Ngram(span) => Self::Ngram(*span),
            Part::Nfkc => Self::Nfkc,
            Part::Parts => Self::Parts,
            Part::StopWords(words) => Self::stop(words.iter().map(String::as_str), before),
        }
    }

    fn of_language(step: Step, rules: &Rules, before: &[Filter]) -> Self {
        match step {
            Step::Elision | Step::Possessive => Self::Apostrophe(rules.apostrophe),
            Step::Lowercase => Self::Lowercase {
                letter_i: rules.letter_i,
                is_irish: rules.apostrophe == Apostrophe::Irish,
            },
            Step::Normalize => Self::Letters(rules.letters),
            Step::Stem => Self::Stem {
                letters: rules.letters,
                stemmer: Stemmer::new(rules.stemmer),
            },
            Step::Stop => Self::stop(stopwords::list(rules.stop_words), before),
        }
    }

    /// Drops `words`, spelled as the filters before it spell them.
    fn stop<'a>(words: impl Iterator<Item = &'a str>, before: &[Filter]) -> Self {
        let mut spelled = Vec::new();
        for word in words {
            run(before, Mode::Spelling, word, &mut |word| {
                spelled.push(word.to_owned());
            });
        }
        Self::Stop(StopWords::new(spelled))
    }

    /// Whether it makes terms that are not words.
    pub fn makes_fragments(&self) -> bool {
        matches!(
            self,
            Self::Stem { .. } | Self::EdgeNgram(_) | Self::Ngram(_)
        )
    }

    /// Whether it drops what stands before the word that counts.
    fn removes_elisions(&self) -> bool {
        matches!(self, Self::Apostrophe(rule) if rule.is_elision())
    }

    fn changes_letters(&self) -> bool {
        match self {
            Self::Fold
            | Self::Letters(_)
            | Self::Lowercase { .. }
            | Self::Nfkc
            | Self::Stem { .. } => true,
            Self::Apostrophe(_)
            | Self::EdgeNgram(_)
            | Self::Length(_)
            | Self::Ngram(_)
            | Self::Parts
            | Self::Stop(_) => false,
        }
    }

    fn apply(&self, mode: Mode, term: &str, emit: &mut dyn FnMut(&str)) {
        let applies = match mode {
            Mode::Document | Mode::Query => true,
            Mode::Beginning => self.changes_letters() || self.removes_elisions(),
            Mode::Spelling => self.changes_letters(),
        };
        if !applies {
            return emit(term);
        }
        match self {
            Self::Apostrophe(rule) => emit(elision::strip(term, *rule)),
            Self::EdgeNgram(span) if mode == Mode::Query => emit(grams::prefix(term, span.max)),
            Self::EdgeNgram(span) => grams::edge(term, *span, emit),
            Self::Fold => emit(&changed(term, drop_accents)),
            Self::Length(span) => {
                if (span.min..=span.max).contains(&term.chars().count()) {
                    emit(term);
                }
            }
            Self::Letters(letters) => emit(&changed(term, |term| letters.unify(term))),
            Self::Lowercase { letter_i, is_irish } => {
                let term = if *is_irish {
                    without_irish_prefix(term)
                } else {
                    term
                };
                with_folded(term, *letter_i, |folded| emit(folded));
            }
            Self::Ngram(span) => grams::all(term, *span, emit),
            Self::Nfkc if is_normalized(term) => emit(term),
            Self::Nfkc => emit(&term.nfkc().collect::<String>()),
            Self::Parts => {
                emit(term);
                parts::each(term, emit);
            }
            Self::Stem { letters, .. } if mode == Mode::Beginning => {
                emit(&changed(term, |term| letters.unify(term)));
            }
            Self::Stem { letters, stemmer } => stem(*letters, stemmer, term, emit),
            Self::Stop(words) => {
                if !words.contains(term) {
                    emit(term);
                }
            }
        }
    }
}

/// Emits the stem of `term`, with the letters of the language unified before and after.
fn stem(letters: Letters, stemmer: &Stemmer, term: &str, emit: &mut dyn FnMut(&str)) {
    if letters == Letters::AsWritten {
        return stemmer.stem(term, emit);
    }
    let term = changed(term, |term| letters.unify(term));
    stemmer.stem(&term, &mut |stem| {
        let stem = changed(stem, |stem| letters.unify_stem(stem));
        emit(if stem.is_empty() { &term } else { &stem });
    });
}

/// `term` after `change`.
fn changed(term: &str, change: impl FnOnce(&mut String)) -> String {
    let mut term = term.to_owned();
    change(&mut term);
    term
}
