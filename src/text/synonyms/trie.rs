//! A trie of phrases, by their terms.

use std::collections::HashMap;

use super::steps;

/// Finds the longest phrase that begins a list of terms.
#[derive(Clone, Debug, Default)]
pub(super) struct Trie {
    /// A number for each term.
    terms: HashMap<String, usize>,
    /// From a node, with a term and whether it begins a word, to a node. The root is 0.
    edges: HashMap<(usize, usize, bool), usize>,
    /// The number of the phrase that ends at each node but the root.
    phrases: Vec<Option<usize>>,
    count: usize,
}

impl Trie {
    /// The number of a phrase, which is not empty: the next one if it is new.
    pub fn insert(&mut self, phrase: &[(String, u32)]) -> usize {
        let mut node = 0;
        for (term, begins) in steps(phrase) {
            let next = self.terms.len();
            let term = *self.terms.entry(term.to_owned()).or_insert(next);
            node = *self.edges.entry((node, term, begins)).or_insert_with(|| {
                self.phrases.push(None);
                self.phrases.len()
            });
        }
        let next = self.count;
        match self.phrases.get_mut(node.wrapping_sub(1)) {
            Some(Some(number)) => *number,
            Some(place) => {
                *place = Some(next);
                self.count += 1;
                next
            }
            None => next,
        }
    }

    /// The longest phrase that `terms` begin with and that ends where a word does: how many terms
    /// it has, and its number.
    pub fn longest(&self, terms: &[(String, u32)]) -> Option<(usize, usize)> {
        let (mut node, mut longest) = (0, None);
        let mut steps = (1..).zip(steps(terms)).peekable();
        while let Some((length, (term, begins))) = steps.next() {
            let next = self.terms.get(term);
            let next = next.and_then(|term| self.edges.get(&(node, *term, begins)));
            let Some(next) = next else {
                break;
            };
            node = *next;
            let ends_word = steps.peek().is_none_or(|(_, (_, begins))| *begins);
            if let Some(Some(number)) = self.phrases.get(node - 1)
                && ends_word
            {
                longest = Some((length, *number));
            }
        }
        longest
    }
}
