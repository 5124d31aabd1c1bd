//! From tokens to the tree.
//!
//! ```text
//! query       = disjunction*                        side by side: a group of clauses
//! disjunction = conjunction ("OR" conjunction)*
//! conjunction = operand ("AND" operand)*
//! operand     = ("+" | "-" | "!" | "NOT")* primary
//! primary     = term | [fields ":"] "(" query ")" tail
//! ```
//!
//! Recursion is as deep as parentheses are nested, which is limited; everything else is a loop.

use std::mem;
use std::ops::Range;

use super::clauses::{Clauses, Operand};
use super::error::{Problem, SyntaxError};
use super::lexer::{Lexer, Token, TokenKind};
use super::modifiers::{Boost, Tail, Tailed};
use super::tree::{Clause, Node, NodeKind, Occur};

type Result<T> = std::result::Result<T, SyntaxError>;

/// How deep parentheses and repeated negations may be nested.
pub(super) const MAX_DEPTH: usize = 64;

/// How many nodes, values of sets and names of fields a query may have.
pub(super) const MAX_NODES: usize = 10_000;

pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    /// Tokens read ahead, the next one last.
    ahead: Vec<Token>,
    nodes: usize,
}

impl<'a> Parser<'a> {
    pub fn new(lexer: Lexer<'a>) -> Self {
        Self {
            lexer,
            ahead: Vec::new(),
            nodes: 0,
        }
    }

    /// The tree, and the errors of a lenient parse. A lenient parse fails only at a limit.
    pub fn parse(&mut self) -> Result<Node> {
        let clauses = self.clauses(0)?;
        let end = self.lexer.reports.source.len();
        if clauses.list.is_empty() {
            return Ok(Node::new(NodeKind::Nothing, 0..end));
        }
        self.joined(clauses)
    }

    pub fn into_errors(self) -> Vec<SyntaxError> {
        self.lexer.reports.errors
    }

    fn peek(&mut self) -> Result<&TokenKind> {
        let token = self.next()?;
        self.ahead.push(token);
        Ok(self
            .ahead
            .last()
            .map_or(&TokenKind::End, |token| &token.kind))
    }

    fn next(&mut self) -> Result<Token> {
        match self.ahead.pop() {
            Some(token) => Ok(token),
            None => self.lexer.next(),
        }
    }

    fn report(&mut self, problem: Problem) -> Result<()> {
        self.lexer.reports.report(problem)
    }

    /// Counts a node, and more for what it holds.
    fn count(&mut self, at: usize, nodes: usize) -> Result<()> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            let expected = format!("at most {MAX_NODES} terms and operators");
            let problem = Problem::new(at, expected, "more");
            return Err(problem.locate(self.lexer.reports.source));
        }
        Ok(())
    }

    fn node(&mut self, kind: NodeKind, span: Range<usize>) -> Result<Node> {
        let held = match &kind {
            NodeKind::Set(values) => values.len(),
            NodeKind::Field { names, .. } => names.len(),
            _ => 0,
        };
        self.count(span.start, 1 + held)?;
        Ok(Node { kind, span })
    }

    fn too_deep(&self, at: usize) -> SyntaxError {
        let expected = format!("parentheses and negations at most {MAX_DEPTH} deep");
        Problem::new(at, expected, "more").locate(self.lexer.reports.source)
    }

    /// The clauses up to the end, or up to a parenthesis if one is open.
    fn clauses(&mut self, depth: usize) -> Result<Clauses> {
        // Only these can have a minimum.
        let mut clauses = Clauses::new(depth > 0);
        loop {
            match self.peek()? {
                TokenKind::End => return Ok(clauses),
                TokenKind::Close if depth > 0 => return Ok(clauses),
                TokenKind::Close => {
                    let token = self.next()?;
                    let problem = Problem::new(token.span.start, "`(` before `)`", "none");
                    self.report(problem.hint(r"write `\)` for the character"))?;
                    self.push_word(token);
                }
                _ => {}
            }
            let operand = self.disjunction(depth)?;
            if !clauses.push(operand, self.lexer.reports.source) {
                self.nodes -= 1;
            }
        }
    }

    fn disjunction(&mut self, depth: usize) -> Result<Operand> {
        let is_or = |token: &TokenKind| matches!(token, TokenKind::Or);
        let operands = self.operands(depth, is_or, Self::conjunction)?;
        let is_chain = operands.len() > 1;
        for operand in operands
            .iter()
            .filter(|o| is_chain && o.occur == Occur::Must)
        {
            let problem = Problem::new(operand.start, "operands of `OR` without `+`", "one");
            let hint = "write `+(a OR b)` to require one of them, or `+a b` to require `a`";
            self.report(problem.hint(hint))?;
        }
        self.chain(operands, NodeKind::Any)
    }

    fn conjunction(&mut self, depth: usize) -> Result<Operand> {
        let is_and = |token: &TokenKind| matches!(token, TokenKind::And);
        let operands = self.operands(depth, is_and, Self::operand)?;
        // `+a AND b` as a whole is required, as `+a` is.
        let is_required = operands.iter().any(|operand| operand.occur == Occur::Must);
        let mut chain = self.chain(operands, NodeKind::All)?;
        if is_required {
            chain.occur = Occur::Must;
        }
        Ok(chain)
    }

    /// Operands with this operator between them: at least one.
    fn operands(
        &mut self,
        depth: usize,
        is_operator: fn(&TokenKind) -> bool,
        operand: fn(&mut Self, usize) -> Result<Operand>,
    ) -> Result<Vec<Operand>> {
        let mut operands = vec![operand(self, depth)?];
        while is_operator(self.peek()?) {
            let token = self.next()?;
            if self.is_dangling(&token)? {
                self.push_word(token);
                break;
            }
            operands.push(operand(self, depth)?);
        }
        Ok(operands)
    }

    fn chain(
        &mut self,
        operands: Vec<Operand>,
        kind: fn(Vec<Node>) -> NodeKind,
    ) -> Result<Operand> {
        let operands = match <[Operand; 1]>::try_from(operands) {
            Ok([single]) => return Ok(single),
            Err(operands) => operands,
        };
        let is_negation = |operand: &&Operand| operand.occur == Occur::MustNot;
        let negations = operands.iter().filter(is_negation).count();
        let start = operands.first().map_or(0, |operand| operand.start);
        let nodes: Vec<Node> = operands.into_iter().map(Operand::into_node).collect();
        let end = nodes.last().map_or(0, |node| node.span.end);
        self.count(start, negations)?;
        Ok(Operand::plain(self.node(kind(nodes), start..end)?))
    }

    /// Whether nothing stands after an operator that it could apply to.
    fn is_dangling(&mut self, operator: &Token) -> Result<bool> {
        if !matches!(
            self.peek()?,
            TokenKind::End | TokenKind::Close | TokenKind::And | TokenKind::Or
        ) {
            return Ok(false);
        }
        let at = self.ahead.last().map_or(0, |token| token.span.start);
        let name = self.source(&operator.span);
        let problem = self.lexer.problem(at, format!("a term after `{name}`"));
        self.report(problem.hint(format!("write `\"{name}\"` to search for the word")))?;
        Ok(true)
    }

    fn source(&self, span: &Range<usize>) -> &'a str {
        self.lexer
            .reports
            .source
            .get(span.clone())
            .unwrap_or_default()
    }

    /// Makes a word of an operator, and the next token.
    fn push_word(&mut self, token: Token) {
        let text = self.source(&token.span);
        self.ahead.push(Token::word(text, token.span));
    }

    fn operand(&mut self, depth: usize) -> Result<Operand> {
        let mut prefixes = Vec::new();
        let mut operand = loop {
            let token = self.next()?;
            match token.kind {
                TokenKind::Must => prefixes.push((Occur::Must, token.span)),
                TokenKind::MustNot => prefixes.push((Occur::MustNot, token.span)),
                TokenKind::Not if self.is_dangling(&token)? => self.push_word(token),
                TokenKind::Not => prefixes.push((Occur::MustNot, token.span)),
                _ => {
                    // Each negation of a negation becomes a group, as parentheses do.
                    let depth = depth + prefixes.len().saturating_sub(1);
                    if depth > MAX_DEPTH {
                        return Err(self.too_deep(token.span.start));
                    }
                    break self.primary(token, depth)?;
                }
            }
        };
        operand.is_bare &= prefixes.is_empty();
        for (occur, span) in prefixes.into_iter().rev() {
            let inner = mem::replace(&mut operand.start, span.start);
            operand.occur = match (occur, operand.occur) {
                (Occur::MustNot, Occur::MustNot) => {
                    let span = inner..operand.node.span.end;
                    let clause = Clause {
                        occur,
                        node: operand.node,
                    };
                    let kind = NodeKind::Group {
                        clauses: vec![clause],
                        minimum: None,
                    };
                    operand.node = self.node(kind, span)?;
                    Occur::MustNot
                }
                (Occur::Must, Occur::MustNot) => Occur::MustNot,
                (occur, _) => occur,
            };
        }
        Ok(operand)
    }

    fn primary(&mut self, token: Token, depth: usize) -> Result<Operand> {
        let Token { kind, span } = token;
        match kind {
            TokenKind::Open => self.group(span, None, depth),
            TokenKind::Field(names, None) => self.group(span, Some(names), depth),
            TokenKind::Field(names, Some(term)) => {
                let boost = term.boost;
                let end = term.span.end;
                let node = Box::new(self.node(term.kind, term.span)?);
                let node = self.node(NodeKind::Field { names, node }, span.start..end)?;
                Ok(Operand::plain(self.boosted(node, boost, span)?))
            }
            TokenKind::Term(term) => {
                let is_bare = term.is_bare;
                let node = self.node(term.kind, term.span)?;
                let node = self.boosted(node, term.boost, span)?;
                Ok(Operand {
                    is_bare,
                    ..Operand::plain(node)
                })
            }
            _ => {
                let name = self.source(&span);
                let problem = self.lexer.problem(span.start, "a term");
                self.report(problem.hint(format!("write `\"{name}\"` to search for the word")))?;
                let node = self.node(NodeKind::Words(name.into()), span)?;
                Ok(Operand::bare(node))
            }
        }
    }

    fn boosted(&mut self, node: Node, boost: Option<Boost>, span: Range<usize>) -> Result<Node> {
        let node = Box::new(node);
        let kind = match boost {
            None => return Ok(*node),
            Some(Boost::Factor(factor)) => NodeKind::Boost { node, factor },
            Some(Boost::Constant(score)) => NodeKind::ConstantScore { node, score },
        };
        self.node(kind, span)
    }

    /// What is in the parentheses that `open` ends with, and what stands after them.
    fn group(
        &mut self,
        open: Range<usize>,
        names: Option<Vec<String>>,
        depth: usize,
    ) -> Result<Operand> {
        if depth >= MAX_DEPTH {
            return Err(self.too_deep(open.start));
        }
        let outer = self.lexer.in_field;
        self.lexer.in_field |= names.is_some();
        let clauses = self.clauses(depth + 1)?;
        let close = self.next()?;
        self.lexer.in_field = outer;
        let is_closed = matches!(close.kind, TokenKind::Close);
        if !is_closed {
            let missing = "a closing parenthesis";
            let problem = Problem::new(open.end - 1, missing, "the end of the query");
            self.report(problem.hint(r"write `\(` for the character"))?;
        }
        let mut span = open.start..close.span.end;
        if clauses.list.is_empty() {
            if is_closed {
                let at = close.span.start;
                self.report(self.lexer.problem(at, "a term in the parentheses"))?;
            }
            let text = self.source(&span).trim_end().to_owned();
            span.end = span.start + text.len();
            let node = self.node(NodeKind::Words(text), span)?;
            return Ok(Operand::bare(node));
        }
        let mut tail = Tail::default();
        if is_closed {
            tail = self.lexer.tail(Tailed::Group)?;
            span.end = self.lexer.at;
        }
        if let Some((at, _)) = &tail.tilde {
            let problem = self.lexer.problem(*at, "no `~` after a parenthesis");
            self.report(problem.hint("it stands after a word or a phrase"))?;
        }
        let mut node = self.with_minimum(clauses, &tail, &span)?;
        if let Some(names) = names {
            let node_in_field = NodeKind::Field {
                names,
                node: Box::new(node),
            };
            node = self.node(node_in_field, span.clone())?;
        }
        Ok(Operand::plain(self.boosted(node, tail.boost, span)?))
    }

    fn with_minimum(
        &mut self,
        mut clauses: Clauses,
        tail: &Tail,
        span: &Range<usize>,
    ) -> Result<Node> {
        let Some((at, digits)) = &tail.minimum else {
            return self.joined(clauses);
        };
        let optional = clauses.optional();
        let given = digits.parse().ok();
        if given.is_none_or(|given: usize| given == 0 || given > optional) {
            let expected = match optional {
                0 => "no `@` after parentheses without optional terms".into(),
                _ => format!(
                    "a number from 1 to {optional}, of the optional terms in the parentheses"
                ),
            };
            self.report(Problem::new(at + 1, expected, format!("`{digits}`")))?;
            if optional == 0 || given == Some(0) {
                return self.joined(clauses);
            }
        }
        let minimum = Some(given.unwrap_or(optional).min(optional));
        let words = clauses.list.len();
        let clauses = clauses.take_apart();
        self.count(span.start, clauses.len().saturating_sub(words))?;
        self.node(NodeKind::Group { clauses, minimum }, span.clone())
    }

    /// One optional clause is its node; others are a group.
    fn joined(&mut self, clauses: Clauses) -> Result<Node> {
        let (mut list, start) = (clauses.list, clauses.start);
        let is_single = list.len() == 1 && list.first().is_some_and(Clause::is_optional);
        if is_single && let Some(clause) = list.pop() {
            return Ok(clause.node);
        }
        let end = list.last().map_or(start, |clause| clause.node.span.end);
        self.node(
            NodeKind::Group {
                clauses: list,
                minimum: None,
            },
            start..end,
        )
    }
}
