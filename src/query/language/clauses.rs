//! Clauses side by side: runs of words, and the terms that a minimum counts.

use std::mem;

use super::tree::{Clause, Node, NodeKind, Occur};

/// A node on its way into its parent.
pub(super) struct Operand {
    pub occur: Occur,
    pub node: Node,
    /// Where it starts, with its `+`, `-` or `NOT`.
    pub start: usize,
    /// A word without any operator: it joins its neighbours of this kind.
    pub is_bare: bool,
}

impl Operand {
    pub fn plain(node: Node) -> Self {
        Self {
            occur: Occur::Should,
            start: node.span.start,
            node,
            is_bare: false,
        }
    }

    pub fn bare(node: Node) -> Self {
        Self {
            is_bare: true,
            ..Self::plain(node)
        }
    }

    /// As an operand of `AND` or `OR`.
    pub fn into_node(self) -> Node {
        match self.occur {
            Occur::Should | Occur::Must => self.node,
            Occur::MustNot => {
                let span = self.start..self.node.span.end;
                Node::new(NodeKind::Not(Box::new(self.node)), span)
            }
        }
    }
}

/// The clauses of a group so far.
#[derive(Default)]
pub(super) struct Clauses {
    pub list: Vec<Clause>,
    /// Where the first one starts.
    pub start: usize,
    /// The last clause is bare words, and may grow.
    is_open: bool,
    /// Words are kept apart too, for a minimum.
    keeps_words: bool,
    /// For each run of several bare words, its clause and the words: at least two.
    runs: Vec<(usize, Vec<Node>)>,
}

impl Clauses {
    /// With `keeps_words` they can be [taken apart](Self::take_apart).
    pub fn new(keeps_words: bool) -> Self {
        Self {
            keeps_words,
            ..Self::default()
        }
    }

    /// Adds an operand; false if it joined the words before it, with what is between them in the
    /// source.
    pub fn push(&mut self, operand: Operand, source: &str) -> bool {
        let Operand {
            occur,
            node,
            start,
            is_bare,
        } = operand;
        if is_bare && self.is_open && self.join(&node, source) {
            return false;
        }
        if self.list.is_empty() {
            self.start = start;
        }
        self.is_open = is_bare;
        self.list.push(Clause { occur, node });
        true
    }

    fn join(&mut self, node: &Node, source: &str) -> bool {
        let position = self.list.len().saturating_sub(1);
        let Some(Clause { node: run, .. }) = self.list.last_mut() else {
            return false;
        };
        let is_second = self
            .runs
            .last()
            .is_none_or(|(clause, _)| *clause != position);
        let first = (self.keeps_words && is_second).then(|| run.clone());
        let (NodeKind::Words(text), NodeKind::Words(word)) = (&mut run.kind, &node.kind) else {
            return false;
        };
        text.push_str(source.get(run.span.end..node.span.start).unwrap_or(" "));
        text.push_str(word);
        run.span.end = node.span.end;
        let runs = &mut self.runs;
        if let Some((_, words)) = runs.last_mut().filter(|(clause, _)| *clause == position) {
            words.push(node.clone());
        } else if let Some(first) = first {
            runs.push((position, vec![first, node.clone()]));
        }
        true
    }

    /// The operands of `OR` if there is nothing else.
    fn alternatives(&mut self) -> Option<&mut Vec<Node>> {
        match self.list.as_mut_slice() {
            [
                Clause {
                    occur: Occur::Should,
                    node,
                },
            ] => match &mut node.kind {
                NodeKind::Any(nodes) => Some(nodes),
                _ => None,
            },
            _ => None,
        }
    }

    /// How many optional clauses there are once they are taken apart.
    pub fn optional(&mut self) -> usize {
        if let Some(nodes) = self.alternatives() {
            return nodes.len();
        }
        let clauses = self
            .list
            .iter()
            .filter(|clause| clause.is_optional())
            .count();
        let more: usize = self.runs.iter().map(|(_, words)| words.len() - 1).sum();
        clauses + more
    }

    /// The clauses that a minimum counts: each word, and each operand of `OR`.
    pub fn take_apart(mut self) -> Vec<Clause> {
        if let Some(nodes) = self.alternatives() {
            return mem::take(nodes).into_iter().map(optional).collect();
        }
        let mut apart = Vec::with_capacity(self.list.len());
        let mut runs = self.runs.into_iter().peekable();
        for (position, clause) in self.list.into_iter().enumerate() {
            match runs.next_if(|(clause, _)| *clause == position) {
                None => apart.push(clause),
                Some((_, words)) => apart.extend(words.into_iter().map(optional)),
            }
        }
        apart
    }
}

/// A node as an optional clause. A negation is a clause of its own group.
fn optional(node: Node) -> Clause {
    let Node { kind, span } = node;
    let kind = match kind {
        NodeKind::Not(node) => {
            let clause = Clause {
                occur: Occur::MustNot,
                node: *node,
            };
            NodeKind::Group {
                clauses: vec![clause],
                minimum: None,
            }
        }
        kind => kind,
    };
    Clause {
        occur: Occur::Should,
        node: Node { kind, span },
    }
}
