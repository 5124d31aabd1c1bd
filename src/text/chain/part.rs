//! The parts of a chain: what a name says, before it is put to work.

use super::grams::Span;
use crate::text::analyzer::SIMPLE_REVISION;
use crate::text::elision::Apostrophe;
use crate::text::language::{Language, Method, Rules, languages};
use crate::text::letters::Letters;

/// A filter of a chain.
#[derive(Clone, Debug)]
pub(super) enum Part {
    EdgeNgram(Span),
    Fold,
    /// A step of the analyzer of a language, whose rules are given.
    Language(Step, &'static Language, Rules),
    Length(Span),
    Lowercase,
    Ngram(Span),
    Nfkc,
    Parts,
    /// The application's own stop words, sorted.
    StopWords(Vec<String>),
}

/// A step of the analyzer of a language, which a chain can have alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Elision,
    Lowercase,
    Normalize,
    Possessive,
    Stem,
    Stop,
}

impl Step {
    /// The rules of `language`, if its analyzer has the step.
    pub fn rules_of(self, language: &Language) -> Option<Rules> {
        let Method::Western(rules) = language.method else {
            return None;
        };
        let has_elision = rules.apostrophe.is_elision();
        let has_step = match self {
            Self::Elision => has_elision,
            Self::Possessive => rules.apostrophe != Apostrophe::Keep && !has_elision,
            Self::Normalize => rules.letters != Letters::AsWritten,
            Self::Lowercase | Self::Stem | Self::Stop => true,
        };
        has_step.then_some(rules)
    }

    /// The codes of the languages that have the step.
    pub fn codes(self) -> Vec<&'static str> {
        let having = languages().filter(|language| self.rules_of(language).is_some());
        having.map(|language| language.code()).collect()
    }
}

impl Part {
    /// The revision of the part's terms, increased with every change to them.
    pub fn revision(&self) -> u32 {
        match self {
            Self::Language(_, language, _) => language.revision,
            Self::Lowercase => SIMPLE_REVISION,
            Self::EdgeNgram(_)
            | Self::Fold
            | Self::Length(_)
            | Self::Ngram(_)
            | Self::Nfkc
            | Self::Parts
            | Self::StopWords(_) => 1,
        }
    }

    /// True for a filter that makes n-grams.
    pub fn is_ngram(&self) -> bool {
        matches!(self, Self::EdgeNgram(_) | Self::Ngram(_))
    }
}
