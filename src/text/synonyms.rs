//! Synonyms: words and phrases that stand for others in queries.
//!
//! [`Synonyms`] is a list in the format of Solr. A field analyzes it, which gives
//! [`FieldSynonyms`]; these turn the terms of a query into groups of alternatives. Documents need
//! no synonyms, so a list can change without another index.

mod parse;
#[cfg(test)]
mod tests;
mod trie;

use std::ops::Range;

use self::parse::Rule;
use self::trie::Trie;
use super::Analyzer;
use crate::error::{Error, Result};

/// Terms of a phrase.
const MAX_PHRASE_TERMS: usize = 64;
/// Alternatives of a phrase.
const MAX_ALTERNATIVES: usize = 1_024;

/// Terms with the positions of their words.
type Terms = Vec<(String, u32)>;

/// A list of synonyms in Solr's format.
///
/// Each line is a rule; blank lines and lines that begin with `#` are none.
///
/// - `couch, sofa, davenport`: each of these words or phrases stands for all of them.
/// - `lcd tv, oled tv => flat screen`: each on the left is replaced by those on the right. The
///   left is searched too only if it is on the right as well.
///
/// Rules with the same word or phrase add up. A backslash takes the next character literally, as
/// in `\,` and `\=>`.
///
/// ```
/// use esparsa::text::{Analyzer, Synonyms};
///
/// let synonyms = Synonyms::parse("ny, new york\npc => computer")?;
/// let english = synonyms.for_analyzer(&Analyzer::named("english")?)?;
/// let groups = english.expand_text("computers in New York");
/// let last = &groups[1];
/// let words = |at: usize| last.alternatives[at].iter().map(|(term, _)| term.as_str());
/// assert_eq!(words(0).collect::<Vec<_>>(), ["new", "york"]);
/// assert_eq!(words(1).collect::<Vec<_>>(), ["ny"]);
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Synonyms {
    rules: Vec<Rule>,
}

/// A list of synonyms analyzed for one field: finds them in the terms of queries.
#[derive(Clone, Debug)]
pub struct FieldSynonyms {
    analyzer: Analyzer,
    trie: Trie,
    /// Phrases that stand for each other, or that replace others.
    classes: Vec<Vec<Terms>>,
    /// What stands for each phrase that the trie knows.
    targets: Vec<Target>,
}

/// What stands for a phrase.
#[derive(Clone, Debug, Default)]
struct Target {
    /// Whether the phrase itself is searched too.
    keeps_original: bool,
    /// Places in [`FieldSynonyms::classes`].
    classes: Vec<usize>,
}

/// Terms of a query that belong together, and what may stand in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SynonymGroup {
    /// The terms of the query, as places in the list that was expanded. Groups are in order and
    /// cover all terms.
    pub terms: Range<usize>,
    /// What to search for in place of the terms, at least one: terms with the positions of their
    /// words, counted from the first word. The terms of the query themselves come first, unless a
    /// rule replaces them.
    pub alternatives: Vec<Vec<(String, u32)>>,
    /// Whether a rule replaces the terms of the query, which are then not among the alternatives.
    pub is_replaced: bool,
}

impl Synonyms {
    /// Parses a list.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] with the number of the line, if a line is one word or phrase alone,
    /// has nothing on a side of `=>` or between commas, has two `=>`, or ends with a backslash.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(Self {
            rules: parse::rules(text)?,
        })
    }

    /// Analyzes the list as queries of a field with this analyzer are.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] with the number of the line, if a phrase has no terms, because all
    /// of its words are stop words, or more than 64 terms; or if a phrase has more than 1024
    /// alternatives.
    pub fn for_analyzer(&self, analyzer: &Analyzer) -> Result<FieldSynonyms> {
        let mut synonyms = FieldSynonyms {
            analyzer: analyzer.clone(),
            trie: Trie::default(),
            classes: Vec::new(),
            targets: Vec::new(),
        };
        for rule in &self.rules {
            synonyms
                .add(rule)
                .map_err(|error| parse::at(error, rule.line))?;
        }
        Ok(synonyms)
    }
}

impl FieldSynonyms {
    fn add(&mut self, rule: &Rule) -> Result<()> {
        let analyze = |phrases: &[String]| -> Result<Vec<Terms>> {
            let mut analyzed: Vec<Terms> = Vec::with_capacity(phrases.len());
            for phrase in phrases {
                analyzed.push(phrase_terms(&self.analyzer, phrase)?);
            }
            Ok(analyzed)
        };
        let from = analyze(&rule.from)?;
        let class = match &rule.to {
            Some(to) => analyze(to)?,
            None => from.clone(),
        };
        for phrase in &from {
            let number = self.trie.insert(phrase);
            if number == self.targets.len() {
                self.targets.push(Target::default());
            }
            let classes = &self.classes;
            if let Some(target) = self.targets.get_mut(number) {
                let known = target.classes.iter().filter_map(|at| classes.get(*at));
                let count = class.len() + known.map(Vec::len).sum::<usize>();
                if count > MAX_ALTERNATIVES {
                    return Err(Error::invalid(format!(
                        "a word or phrase has {count} synonyms; expected at most {MAX_ALTERNATIVES}"
                    )));
                }
                target.keeps_original |= rule.to.is_none();
                target.classes.push(classes.len());
            }
        }
        self.classes.push(class);
        Ok(())
    }

    /// Groups the terms of a query, each with the position of its word, in order.
    ///
    /// At each word the longest phrase that the list has is taken, and the search goes on after
    /// it; a word that begins none is a group of its own. Positions tell which terms are of one
    /// word; gaps between them, where stop words were, make no difference.
    pub fn expand(&self, terms: &[(String, u32)]) -> Vec<SynonymGroup> {
        let mut groups = Vec::new();
        let mut rest = terms;
        while !rest.is_empty() {
            let start = terms.len() - rest.len();
            let (length, target) = match self.trie.longest(rest) {
                Some((length, number)) => (length, self.targets.get(number)),
                None => (first_word(rest), None),
            };
            let (original, after) = rest.split_at(length);
            groups.push(SynonymGroup {
                terms: start..start + length,
                is_replaced: target.is_some_and(|target| !target.keeps_original),
                alternatives: self.alternatives(original, target),
            });
            rest = after;
        }
        groups
    }

    /// Analyzes a query as the field does, and groups its terms; see
    /// [`expand`](FieldSynonyms::expand).
    pub fn expand_text(&self, text: &str) -> Vec<SynonymGroup> {
        self.expand(&analyze(&self.analyzer, text))
    }

    /// The alternatives of the terms `original`, each once.
    fn alternatives(&self, original: &[(String, u32)], target: Option<&Target>) -> Vec<Terms> {
        let first = original.first().map_or(0, |(_, position)| *position);
        let mut alternatives = Vec::new();
        if target.is_none_or(|target| target.keeps_original) {
            let relative = original
                .iter()
                .map(|(term, at)| (term.clone(), at.saturating_sub(first)));
            alternatives.push(relative.collect());
        }
        let classes = target.into_iter().flat_map(|target| &target.classes);
        for phrase in classes.filter_map(|at| self.classes.get(*at)).flatten() {
            let is_known = |known: &Terms| is_same(known, phrase);
            if !alternatives.iter().any(is_known) {
                alternatives.push(phrase.clone());
            }
        }
        alternatives
    }
}

/// True if both have the same words with the same terms, whatever gaps are between them.
fn is_same(one: &[(String, u32)], other: &[(String, u32)]) -> bool {
    let steps = |terms| steps(terms).map(|(term, begins)| (term.to_owned(), begins));
    one.len() == other.len() && steps(one).eq(steps(other))
}

/// The terms, each with whether it begins a word.
fn steps(terms: &[(String, u32)]) -> impl Iterator<Item = (&str, bool)> {
    let mut last = None;
    terms.iter().map(move |(term, position)| {
        let begins = last != Some(*position);
        last = Some(*position);
        (term.as_str(), begins)
    })
}

/// How many terms the first word has.
fn first_word(terms: &[(String, u32)]) -> usize {
    let more = steps(terms).skip(1).take_while(|(_, begins)| !begins);
    1 + more.count()
}

/// The terms of a query and the positions of their words.
fn analyze(analyzer: &Analyzer, text: &str) -> Terms {
    let mut terms = Terms::new();
    analyzer.query_positions(&analyzer.repair(text), &mut |term, position, _| {
        terms.push((term.to_owned(), position));
    });
    terms
}

/// The terms of a phrase of a list; positions count from its first word that has terms.
fn phrase_terms(analyzer: &Analyzer, phrase: &str) -> Result<Terms> {
    let mut terms = analyze(analyzer, phrase);
    let found = terms.len();
    let first = match terms.first() {
        Some((_, position)) if found <= MAX_PHRASE_TERMS => *position,
        Some(_) => {
            return Err(Error::invalid(format!(
                "`{phrase}` has {found} terms; expected at most {MAX_PHRASE_TERMS}"
            )));
        }
        None => {
            return Err(Error::invalid(format!(
                "`{phrase}` has no terms under the analyzer `{}`, such as stop words have none; \
                 remove it from the list",
                analyzer.name()
            )));
        }
    };
    for (_, position) in &mut terms {
        *position -= first;
    }
    Ok(terms)
}
