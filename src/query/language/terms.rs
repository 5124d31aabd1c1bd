//! Terms: words, phrases, ranges, expressions and sets, with the modifiers after them.

use std::ops::Bound;

use super::error::{Problem, SyntaxError};
use super::lexer::{Lexer, Term};
use super::modifiers::{self, Boost, GROUP_MARKS, Modifier, TERM_MARKS, Tail, Tailed};
use super::scan;
use super::tree::NodeKind;
use super::word;

type Result<T> = std::result::Result<T, SyntaxError>;

impl Lexer<'_> {
    /// A term that its first character tells from a word: a phrase, a range, a regular
    /// expression, a comparison or a set. `None` if it is a word after all.
    pub fn delimited(
        &mut self,
        first: char,
        in_field: bool,
        is_value: bool,
    ) -> Result<Option<Term>> {
        let (source, start) = (self.reports.source, self.at);
        let (kind, end) = match first {
            '"' => return self.phrase(),
            '/' => match scan::regex(source, start) {
                Some((pattern, end)) => (NodeKind::Regex(pattern), end),
                None => return Ok(None),
            },
            '[' | '{' => match scan::range(source, start) {
                Ok((lower, upper, end)) => (NodeKind::Range { lower, upper }, end),
                Err((at, expected)) if in_field => {
                    let hint =
                        "a range is `[1 TO 5]`, without its bounds `{1 TO 5}`, open `[1 TO *]`";
                    self.reports.report(self.problem(at, expected).hint(hint))?;
                    return Ok(None);
                }
                Err(_) => return Ok(None),
            },
            '>' | '<' if in_field => return self.comparison(),
            'I' if is_value && self.rest().starts_with("IN(") => match self.set()? {
                Some(values) => (NodeKind::Set(values), self.at),
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        self.at = end;
        let boost = self.boost_after()?;
        Ok(Some(Term {
            kind,
            span: start..end,
            boost,
            is_bare: false,
        }))
    }

    fn boost_after(&mut self) -> Result<Option<Boost>> {
        let tail = self.tail(Tailed::Other)?;
        if let Some((at, _)) = tail.tilde {
            self.reports
                .report(self.problem(at, "`~` only after a word or a phrase"))?;
        }
        Ok(tail.boost)
    }

    fn phrase(&mut self) -> Result<Option<Term>> {
        let start = self.at;
        let Some((text, end)) = scan::quoted(self.reports.source, start) else {
            let problem = Problem::new(start, "a closing quote", "the end of the query");
            self.reports
                .report(problem.hint(r#"close the phrase, or write `\"` for the character"#))?;
            return Ok(None);
        };
        self.at = end;
        let tail = self.tail(Tailed::Phrase)?;
        let span = start..if tail.tilde.is_some() || tail.is_prefix {
            self.at
        } else {
            end
        };
        let mut slop = 0;
        if let Some((at, digits)) = tail.tilde {
            match digits.parse() {
                Ok(number) => slop = number,
                Err(_) => self
                    .reports
                    .report(self.problem(at, "a whole number of positions after `~`"))?,
            }
        }
        let kind = NodeKind::Phrase {
            text,
            slop,
            prefix: tail.is_prefix,
        };
        Ok(Some(Term {
            kind,
            span,
            boost: tail.boost,
            is_bare: false,
        }))
    }

    /// `>=10` and the like.
    fn comparison(&mut self) -> Result<Option<Term>> {
        let start = self.at;
        let rest = self.rest();
        let is_lower = rest.starts_with('>');
        let is_inclusive = rest.get(1..).is_some_and(|rest| rest.starts_with('='));
        self.at += 1 + usize::from(is_inclusive);
        let missing = self.problem(self.at, "a value directly after the comparison");
        let (bound, tail) = match self.rest().chars().next() {
            Some('"') => match scan::quoted(self.reports.source, self.at) {
                Some((text, end)) => {
                    self.at = end;
                    (text, self.tail(Tailed::Other)?)
                }
                None => (String::new(), Tail::default()),
            },
            Some(first) if !first.is_whitespace() && !"()".contains(first) => {
                let (letters, end) = self.letters()?;
                let (length, found) = modifiers::modifiers(&letters, 1, TERM_MARKS);
                self.at = end;
                let bound = word::text(letters.get(..length).unwrap_or_default());
                (bound, self.check(found)?)
            }
            _ => (String::new(), Tail::default()),
        };
        if let Some((at, _)) = tail.tilde {
            self.reports
                .report(self.problem(at, "only a boost after a comparison"))?;
        }
        // An empty value can be written as a range, with quotes.
        if bound.is_empty() {
            self.reports.report(missing)?;
            self.at = start;
            return Ok(None);
        }
        let bound = if is_inclusive {
            Bound::Included(bound)
        } else {
            Bound::Excluded(bound)
        };
        let (lower, upper) = if is_lower {
            (bound, Bound::Unbounded)
        } else {
            (Bound::Unbounded, bound)
        };
        let kind = NodeKind::Range { lower, upper };
        Ok(Some(Term {
            kind,
            span: start..self.at,
            boost: tail.boost,
            is_bare: false,
        }))
    }

    /// The values of `IN(…)`; `None` if it is read as words.
    fn set(&mut self) -> Result<Option<Vec<String>>> {
        match scan::set(self.reports.source, self.at + "IN(".len()) {
            Ok((values, end, is_closed)) => {
                if !is_closed {
                    self.reports
                        .report(self.problem(end, "`)` after the values of `IN(`"))?;
                }
                self.at = end;
                Ok(Some(values))
            }
            Err((at, expected)) => {
                self.reports.report(
                    self.problem(at, expected)
                        .hint("a set is `IN(red \"dark green\")`"),
                )?;
                Ok(None)
            }
        }
    }

    /// A word with its modifiers.
    pub fn term(&mut self, is_value: bool) -> Result<Term> {
        let start = self.at;
        let (letters, end) = self.letters()?;
        self.at = end;
        let mut term = Term {
            kind: NodeKind::Nothing,
            span: start..end,
            boost: None,
            is_bare: false,
        };
        let (mut length, mut found) = (letters.len(), Vec::new());
        let mut kind = NodeKind::Words(word::text(&letters));
        if !word::is_url(&letters) {
            (length, found) = modifiers::modifiers(&letters, 1, TERM_MARKS);
            let base = letters.get(..length).unwrap_or_default();
            let is_everything = !is_value && word::is_exactly(base, "*:*");
            kind = if is_everything {
                NodeKind::Everything
            } else {
                word::classify(base, is_value || self.in_field)
            };
        }
        term.is_bare = found.is_empty() && matches!(kind, NodeKind::Words(_));
        let tail = self.check(found)?;
        if tail.tilde.is_none() {
            term.span.end = letters.get(length).map_or(end, |letter| letter.at);
        }
        term.kind = match (tail.tilde, kind) {
            (None, kind) => kind,
            (Some((at, digits)), kind) => self.fuzzy(at, &digits, kind)?,
        };
        term.boost = tail.boost;
        Ok(term)
    }

    fn fuzzy(&mut self, at: usize, digits: &str, kind: NodeKind) -> Result<NodeKind> {
        let NodeKind::Words(word) = kind else {
            self.reports
                .report(self.problem(at, "no `~` after a word with wildcards"))?;
            return Ok(kind);
        };
        let distance = match digits {
            "" => Some(2),
            digits => digits.parse().ok().filter(|&distance| distance <= 2),
        };
        if distance.is_none() {
            let problem = self.problem(at + 1, "a distance of 0, 1 or 2");
            self.reports
                .report(problem.hint(r"write `\~` for the character"))?;
        }
        Ok(NodeKind::Fuzzy {
            word,
            distance: distance.unwrap_or(2),
        })
    }

    /// The modifiers directly after a quote, a bracket or a parenthesis.
    pub fn tail(&mut self, tailed: Tailed) -> Result<Tail> {
        let is_mark = |c: char| match c {
            '^' | '~' => true,
            '*' => tailed == Tailed::Phrase,
            '@' => tailed == Tailed::Group,
            _ => false,
        };
        if !self.rest().starts_with(is_mark) {
            return Ok(Tail::default());
        }
        let (letters, end) = word::letters(self.reports.source, self.at);
        let is_prefix = letters.first().is_some_and(|letter| letter.is('*'));
        let keep = usize::from(is_prefix);
        let marks = if tailed == Tailed::Group {
            GROUP_MARKS
        } else {
            TERM_MARKS
        };
        let (length, found) = modifiers::modifiers(&letters, keep, marks);
        if length > keep {
            let expected = match tailed {
                Tailed::Phrase => "`~` or `^` with a number after the phrase",
                Tailed::Group => "`@` or `^` with a number after the parenthesis",
                Tailed::Other => "`^` with a number",
            };
            let problem = self.problem(letters.get(keep).map_or(end, |letter| letter.at), expected);
            self.reports
                .report(problem.hint("put a space before a new word"))?;
            self.at += keep;
            return Ok(Tail {
                is_prefix,
                ..Tail::default()
            });
        }
        self.at = end;
        let mut tail = self.check(found)?;
        tail.is_prefix = is_prefix;
        Ok(tail)
    }

    /// Modifiers with valid numbers, each at most once.
    fn check(&mut self, found: Vec<(usize, Modifier)>) -> Result<Tail> {
        let mut tail = Tail::default();
        for (at, modifier) in found {
            let is_second = match &modifier {
                Modifier::Tilde(_) => tail.tilde.is_some(),
                Modifier::Minimum(_) => tail.minimum.is_some(),
                Modifier::Boost(_) | Modifier::ConstantScore(_) => tail.boost.is_some(),
            };
            if is_second {
                self.reports
                    .report(self.problem(at, "each of `^`, `~` and `@` at most once"))?;
                continue;
            }
            match modifier {
                Modifier::Tilde(digits) => tail.tilde = Some((at, digits)),
                Modifier::Minimum(digits) => tail.minimum = Some((at, digits)),
                Modifier::Boost(number) => {
                    tail.boost = self.number(at, &number)?.map(Boost::Factor)
                }
                Modifier::ConstantScore(number) => {
                    tail.boost = self.number(at, &number)?.map(Boost::Constant);
                }
            }
        }
        Ok(tail)
    }

    fn number(&mut self, at: usize, digits: &str) -> Result<Option<f32>> {
        let number = digits
            .parse()
            .ok()
            .filter(|n: &f32| n.is_finite() && !n.is_sign_negative());
        if number.is_none() {
            let expected = "a boost that is not negative and within the range of `f32`";
            self.reports
                .report(Problem::new(at + 1, expected, format!("`{digits}`")))?;
        }
        Ok(number)
    }
}
