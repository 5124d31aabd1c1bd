//! The places of special tokens, learned from the tokenizer's post-processor by running it on a
//! text of one marked token.

use serde_json::Value;
use tokenizers::{Encoding, PostProcessor};

use super::Tokens;

/// Ids that no vocabulary has.
const FIRST: u32 = u32::MAX;
const SECOND: u32 = u32::MAX - 1;

/// The special tokens around the tokens of one text.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) before: Tokens,
    body_type: u32,
    after: Tokens,
}

/// The special tokens around the tokens of two texts.
#[derive(Debug)]
pub(super) struct PairTemplate {
    before: Tokens,
    first_type: u32,
    between: Tokens,
    second_type: u32,
    after: Tokens,
}

impl Template {
    pub(super) fn of(tokenizer: &tokenizers::Tokenizer) -> Result<Self, String> {
        let tokens = process(tokenizer, marked(FIRST), None)?;
        let at = place(&tokens, FIRST)?;
        Ok(Self {
            before: part(&tokens, 0, at),
            body_type: tokens.types[at],
            after: part(&tokens, at + 1, tokens.len()),
        })
    }

    pub(super) fn specials(&self) -> usize {
        self.before.len() + self.after.len()
    }

    pub(super) fn fill(&self, ids: &[u32], has_types: bool) -> Tokens {
        let mut tokens = self.before.clone();
        append(&mut tokens, ids, self.body_type);
        join(&mut tokens, &self.after);
        typed(tokens, has_types)
    }

    /// The ids of all special tokens.
    pub(super) fn ids(&self) -> impl Iterator<Item = u32> {
        self.before.ids.iter().chain(&self.after.ids).copied()
    }
}

impl PairTemplate {
    pub(super) fn of(tokenizer: &tokenizers::Tokenizer) -> Result<Self, String> {
        let tokens = process(tokenizer, marked(FIRST), Some(marked(SECOND)))?;
        let first = place(&tokens, FIRST)?;
        let second = place(&tokens, SECOND)?;
        if first > second {
            return Err("expected the first text before the second, found it after".to_owned());
        }
        Ok(Self {
            before: part(&tokens, 0, first),
            first_type: tokens.types[first],
            between: part(&tokens, first + 1, second),
            second_type: tokens.types[second],
            after: part(&tokens, second + 1, tokens.len()),
        })
    }

    /// Two texts as one, with the tokens of words before, between and after them, inside the special
    /// tokens of one text.
    pub(super) fn around(single: &Template, [before, between, after]: &[Vec<u32>; 3]) -> Self {
        let kind = single.body_type;
        let of = |ids: &[u32]| {
            let mut tokens = Tokens::default();
            append(&mut tokens, ids, kind);
            tokens
        };
        let mut first = single.before.clone();
        append(&mut first, before, kind);
        let mut last = of(after);
        join(&mut last, &single.after);
        Self {
            before: first,
            first_type: kind,
            between: of(between),
            second_type: kind,
            after: last,
        }
    }

    pub(super) fn specials(&self) -> usize {
        self.before.len() + self.between.len() + self.after.len()
    }

    pub(super) fn fill(&self, first: &[u32], second: &[u32], has_types: bool) -> Tokens {
        let mut tokens = self.before.clone();
        append(&mut tokens, first, self.first_type);
        join(&mut tokens, &self.between);
        append(&mut tokens, second, self.second_type);
        join(&mut tokens, &self.after);
        typed(tokens, has_types)
    }

    /// The ids of all special tokens.
    pub(super) fn ids(&self) -> impl Iterator<Item = u32> {
        let parts = [&self.before, &self.between, &self.after];
        parts.into_iter().flat_map(|part| part.ids.iter().copied())
    }
}

/// A text of one token.
fn marked(id: u32) -> Encoding {
    Encoding::new(
        vec![id],
        vec![0],
        vec!["x".to_owned()],
        vec![Some(0)],
        vec![(0, 1)],
        vec![0],
        vec![1],
        Vec::new(),
        Default::default(),
    )
}

fn process(
    tokenizer: &tokenizers::Tokenizer,
    first: Encoding,
    second: Option<Encoding>,
) -> Result<Tokens, String> {
    let Some(processor) = tokenizer.get_post_processor() else {
        // Without a post-processor there are no special tokens: the texts follow one another.
        return Ok(match second {
            None => Tokens {
                ids: vec![FIRST],
                types: vec![0],
            },
            Some(_) => Tokens {
                ids: vec![FIRST, SECOND],
                types: vec![0, 1],
            },
        });
    };
    check(&serde_json::to_value(processor).map_err(|error| error.to_string())?)?;
    let encoding = processor
        .process(first, second, true)
        .map_err(|error| format!("the post-processor failed: {error}"))?;
    Ok(Tokens {
        ids: encoding.get_ids().to_vec(),
        types: encoding.get_type_ids().to_vec(),
    })
}

/// Refuses a template with a special token that it does not define, for which the crate
/// `tokenizers` would panic.
fn check(processor: &Value) -> Result<(), String> {
    let list = |key: &str| processor[key].as_array().into_iter().flatten();
    for part in list("single").chain(list("pair")) {
        let id = part["SpecialToken"]["id"].as_str();
        if let Some(id) = id.filter(|id| processor["special_tokens"].get(id).is_none()) {
            return Err(format!(
                "expected a definition of the post-processor's special token `{id}`, found none"
            ));
        }
    }
    list("processors").try_for_each(check)
}

fn place(tokens: &Tokens, marker: u32) -> Result<usize, String> {
    let mut places = (0..tokens.len()).filter(|at| tokens.ids[*at] == marker);
    match (places.next(), places.next()) {
        (Some(at), None) => Ok(at),
        _ => Err("expected each text once among the special tokens".to_owned()),
    }
}

fn part(tokens: &Tokens, from: usize, to: usize) -> Tokens {
    Tokens {
        ids: tokens.ids[from..to].to_vec(),
        types: tokens.types[from..to].to_vec(),
    }
}

fn append(tokens: &mut Tokens, ids: &[u32], kind: u32) {
    tokens.ids.extend_from_slice(ids);
    tokens.types.resize(tokens.ids.len(), kind);
}

fn join(tokens: &mut Tokens, other: &Tokens) {
    tokens.ids.extend_from_slice(&other.ids);
    tokens.types.extend_from_slice(&other.types);
}

fn typed(mut tokens: Tokens, has_types: bool) -> Tokens {
    if !has_types {
        tokens.types.fill(0);
    }
    tokens
}
