//! From characters to tokens: operators, and terms with all that belongs to them.
//!
//! Which characters are operators depends on where they stand, so tokens are read one by one, as
//! the parser asks for them. Where something that looks like an operator cannot be one, a strict
//! parse fails and a lenient one reads a word. No scan for the end of something is repeated over
//! the same bytes more than a few times, so time is linear.

use std::ops::Range;

use super::error::{Problem, Reports, SyntaxError, found};
use super::modifiers::Boost;
use super::scan::FieldPrefix;
use super::tree::NodeKind;
use super::word::{self, Letter};

type Result<T> = std::result::Result<T, SyntaxError>;

/// A token and its bytes.
#[derive(Debug)]
pub(super) struct Token {
    pub kind: TokenKind,
    pub span: Range<usize>,
}

impl Token {
    pub fn new(kind: TokenKind, span: Range<usize>) -> Self {
        Self { kind, span }
    }

    /// A word without any operator.
    pub fn word(text: &str, span: Range<usize>) -> Self {
        let term = Term {
            kind: NodeKind::Words(text.into()),
            span: span.clone(),
            boost: None,
            is_bare: true,
        };
        Self::new(TokenKind::Term(term), span)
    }
}

#[derive(Debug)]
pub(super) enum TokenKind {
    End,
    /// `(`
    Open,
    /// `)`
    Close,
    And,
    Or,
    /// `NOT`
    Not,
    /// `+`
    Must,
    /// `-` or `!`
    MustNot,
    Term(Term),
    /// `title:` and the term after it; without a term a parenthesis is open.
    Field(Vec<String>, Option<Term>),
}

/// A leaf of the tree, with its boost.
#[derive(Debug)]
pub(super) struct Term {
    pub kind: NodeKind,
    pub span: Range<usize>,
    pub boost: Option<Boost>,
    /// A word without any operator, which joins its neighbours of this kind.
    pub is_bare: bool,
}

pub(super) struct Lexer<'a> {
    pub at: usize,
    /// Within the parentheses of a field, `*` and `>=1` are about its values.
    pub in_field: bool,
    pub reports: Reports<'a>,
    is_field: &'a dyn Fn(&str) -> bool,
}

impl<'a> Lexer<'a> {
    pub fn new(source: &'a str, lenient: bool, is_field: &'a dyn Fn(&str) -> bool) -> Self {
        let reports = Reports {
            source,
            lenient,
            errors: Vec::new(),
            count: 0,
        };
        Self {
            at: 0,
            in_field: false,
            reports,
            is_field,
        }
    }

    pub fn rest(&self) -> &'a str {
        self.reports.source.get(self.at..).unwrap_or_default()
    }

    pub fn problem(&self, at: usize, expected: impl Into<String>) -> Problem {
        Problem::new(at, expected, found(self.reports.source, at))
    }

    pub fn next(&mut self) -> Result<Token> {
        let rest = self.rest();
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        let start = self.at;
        let mut characters = trimmed.chars();
        let Some(first) = characters.next() else {
            return Ok(Token::new(TokenKind::End, start..start));
        };
        let single = match first {
            '(' => Some(TokenKind::Open),
            ')' => Some(TokenKind::Close),
            '+' | '-' | '!' if self.is_prefix(characters.next()) => Some(if first == '+' {
                TokenKind::Must
            } else {
                TokenKind::MustNot
            }),
            _ => None,
        };
        if let Some(kind) = single {
            self.at += 1;
            return Ok(Token::new(kind, start..self.at));
        }
        if let Some(prefix) = FieldPrefix::read(self.reports.source, start)
            && let Some(token) = self.field(prefix)?
        {
            return Ok(token);
        }
        if let Some(term) = self.delimited(first, self.in_field, false)? {
            return Ok(Token::new(TokenKind::Term(term), start..self.at));
        }
        self.word()
    }

    /// Whether `+`, `-` or `!` at this place is an operator: at the start of a word, and before
    /// something that it can apply to.
    fn is_prefix(&self, next: Option<char>) -> bool {
        let before = self.reports.source.get(..self.at).unwrap_or_default();
        let is_start = before
            .chars()
            .next_back()
            .is_none_or(|c| c.is_whitespace() || c == '(');
        is_start && next.is_some_and(word::starts_term)
    }

    /// A field and its term; `None` if this is no field after all.
    fn field(&mut self, prefix: FieldPrefix) -> Result<Option<Token>> {
        let start = self.at;
        if let Some(unknown) = prefix.names.iter().find(|name| !(self.is_field)(name)) {
            if prefix.may_be_text {
                return Ok(None);
            }
            let hint = format!(r"write `{unknown}\:` or use quotes to search for the words");
            let problem = Problem::new(
                start,
                "the name of a field before `:`",
                format!("`{unknown}`"),
            );
            self.reports.report(problem.hint(hint))?;
            return Ok(Some(self.plain_word(start)));
        }
        self.at = prefix.end;
        let first = self.rest().chars().next();
        if first == Some('(') {
            self.at += 1;
            let kind = TokenKind::Field(prefix.names, None);
            return Ok(Some(Token::new(kind, start..self.at)));
        }
        let Some(first) = first.filter(|&c| !c.is_whitespace() && c != ')') else {
            let problem = self.problem(
                self.at,
                "what to search directly after the name of the field",
            );
            let hint = r"leave no space after `:`, or write `\:` to search for the words";
            self.reports.report(problem.hint(hint))?;
            return Ok(Some(self.plain_word(start)));
        };
        let errors = self.reports.count;
        let term = match self.delimited(first, true, true)? {
            Some(term) => term,
            // What was wrong with it is known: the field is read as text.
            None if self.reports.count > errors => return Ok(Some(self.plain_word(start))),
            None => self.term(true)?,
        };
        let kind = TokenKind::Field(prefix.names, Some(term));
        Ok(Some(Token::new(kind, start..self.at)))
    }

    pub fn letters(&mut self) -> Result<(Vec<Letter>, usize)> {
        let (letters, end) = word::letters(self.reports.source, self.at);
        if let Some(last) = letters.last()
            && last.is_lone_backslash(end)
        {
            let problem = self.problem(end, "a character after `\\`");
            self.reports
                .report(problem.hint("write two for the character itself"))?;
        }
        Ok((letters, end))
    }

    /// A word, or one that is an operator.
    fn word(&mut self) -> Result<Token> {
        let start = self.at;
        let (letters, end) = word::letters(self.reports.source, start);
        let is = |text| word::is_exactly(&letters, text);
        let kind = if is("AND") || is("&&") {
            TokenKind::And
        } else if is("OR") || is("||") {
            TokenKind::Or
        } else if is("NOT") {
            TokenKind::Not
        } else {
            return Ok(Token::new(
                TokenKind::Term(self.term(false)?),
                start..self.at,
            ));
        };
        self.at = end;
        Ok(Token::new(kind, start..end))
    }

    /// The word at `start` as it was typed, with backslashes: they may be those of a path.
    fn plain_word(&mut self, start: usize) -> Token {
        self.at = word::letters(self.reports.source, start).1;
        let text = self.reports.source.get(start..self.at);
        Token::word(text.unwrap_or_default(), start..self.at)
    }
}
