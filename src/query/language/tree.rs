//! The syntax tree: what a query says, before anything is known about the index.

use std::ops::{Bound, Range};

/// A part of a query, and where it stands.
///
/// Two nodes are equal when they say the same: spans are not compared, nor are they printed.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it says.
    pub kind: NodeKind,
    /// Its bytes in the source. Parentheses around a node belong to it only when a boost, a
    /// minimum or a field does.
    pub span: Range<usize>,
}

impl Node {
    pub(super) fn new(kind: NodeKind, span: Range<usize>) -> Self {
        Self { kind, span }
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

/// What a [`Node`] says. Texts are without escapes, and not analyzed.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeKind {
    /// No query at all: only white space. Always the root.
    Nothing,
    /// `*:*`, or `*` outside of a field: all documents.
    Everything,
    /// Words without operators, with the white space between them: one text, analyzed as a whole.
    Words(String),
    /// `"new york"`.
    Phrase {
        /// What is between the quotes.
        text: String,
        /// How many positions the words may be moved by in total: `~2`.
        slop: u32,
        /// The last word is a prefix: `"new yo"*`.
        prefix: bool,
    },
    /// `firef*`: terms that start with this, which is not empty.
    Prefix(String),
    /// `te?t*ing`: terms of this pattern. At least one piece is a wildcard.
    Wildcard(Vec<Piece>),
    /// `/fire(fox|bird)/`: terms that match this expression, which is not checked here.
    Regex(String),
    /// `teh~1`: terms within this many edits.
    Fuzzy {
        /// The word, which is not empty.
        word: String,
        /// 0, 1 or 2; 2 when the query does not say.
        distance: u8,
    },
    /// `[a TO b]`, `{a TO b}`, `>=a`: values between two bounds.
    Range {
        /// The lower bound.
        lower: Bound<String>,
        /// The upper bound.
        upper: Bound<String>,
    },
    /// `IN(red "dark green")`: any of these values. Always directly in a [`Field`](Self::Field).
    Set(Vec<String>),
    /// `*` in a field: the document has a value there. Always within a [`Field`](Self::Field).
    Exists,
    /// `title:…` or `title,body:…`: the fields to search, unless an inner node names others.
    Field {
        /// At least one name.
        names: Vec<String>,
        /// What to search there.
        node: Box<Node>,
    },
    /// `…^2`: scores are multiplied.
    Boost {
        /// What is scored.
        node: Box<Node>,
        /// Finite, not negative.
        factor: f32,
    },
    /// `…^=2`: every match has this score.
    ConstantScore {
        /// What must match.
        node: Box<Node>,
        /// Finite, not negative.
        score: f32,
    },
    /// `NOT …` as an operand of [`All`](Self::All) or [`Any`](Self::Any): documents that do not
    /// match. Elsewhere a negation is a clause of a [`Group`](Self::Group).
    Not(Box<Node>),
    /// `a AND b`: two or more operands, all of which must match.
    All(Vec<Node>),
    /// `a OR b`: two or more operands, one of which must match.
    Any(Vec<Node>),
    /// Clauses that stand side by side.
    Group {
        /// At least one. A group without a minimum never is a single optional clause.
        clauses: Vec<Clause>,
        /// How many optional clauses must match: `(a b c)@2`. From 1 to their number.
        ///
        /// Without one, an optional clause must match only where no clause is required.
        minimum: Option<usize>,
    },
}

/// A part of a [`Group`](NodeKind::Group).
#[derive(Clone, Debug, PartialEq)]
pub struct Clause {
    /// Whether it must match.
    pub occur: Occur,
    /// What it says.
    pub node: Node,
}

impl Clause {
    /// Whether it may match, but need not.
    pub fn is_optional(&self) -> bool {
        self.occur == Occur::Should
    }
}

/// Whether a clause must match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occur {
    /// It may match, and adds to the score.
    Should,
    /// `+`: it must match, and adds to the score.
    Must,
    /// `-`, `!` or `NOT`: it must not match.
    MustNot,
}

/// A part of a [`Wildcard`](NodeKind::Wildcard).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// These characters.
    Literal(String),
    /// `*`: any characters, or none. Never follows another one.
    AnyCharacters,
    /// `?`: one character.
    OneCharacter,
}
