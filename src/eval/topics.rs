//! TREC topics: SGML in the old and the new layout, and XML.
//!
//! An SGML topic is between `<top>` and `</top>`. Its parts begin with a tag and usually have no
//! closing tag; parts that only old topics have (`<dom>`, `<con>`, ...) are skipped. Tags may be
//! anywhere in a line, and a part ends at the next tag.
//!
//! An XML topic, as in TREC-COVID and the web tracks, is an element `<topic number="1">` that
//! contains `<query>`, `<question>` or `<description>`, and `<narrative>`; these are read as title,
//! description and narrative. Text directly in the topic element is its title.

use html_escape::decode_html_entities;

use super::lines::quote;
use super::queries::Query;
use crate::error::{Error, Result};

/// The part of a topic that is used as the query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TopicPart {
    /// `<title>`, or `<query>` in XML: a few words; the usual choice.
    #[default]
    Title,
    /// `<desc>`, or `<question>` in XML: a sentence.
    Description,
    /// `<narr>`, or `<narrative>` in XML: a paragraph that defines relevance.
    Narrative,
    /// Title, then description.
    TitleAndDescription,
}

/// One topic. White space within a part is collapsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Topic {
    number: String,
    title: String,
    description: String,
    narrative: String,
}

impl Topic {
    /// Makes a query of one part of the topic.
    pub(super) fn into_query(self, part: TopicPart) -> Result<Query> {
        let (name, text) = match part {
            TopicPart::Title => ("<title>", self.title),
            TopicPart::Description => ("<desc>", self.description),
            TopicPart::Narrative => ("<narr>", self.narrative),
            TopicPart::TitleAndDescription => {
                let both = format!("{} {}", self.title, self.description);
                ("<title> or <desc>", both.trim().to_owned())
            }
        };
        if text.is_empty() {
            return Err(Error::invalid(format!(
                "expected {name} in topic {}, found none; choose another part of the topics",
                quote(&self.number)
            )));
        }
        Ok(Query::of_text(self.number, text))
    }
}

/// The part of a topic that receives the next text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Number,
    Title,
    Description,
    Narrative,
    /// In a skipped part, or between parts.
    Elsewhere,
}

/// Reads topics line by line.
#[derive(Default)]
pub(super) struct TopicReader {
    open: Option<OpenTopic>,
    /// The terminator of the open comment, declaration or processing instruction, if a previous
    /// line began one.
    markup_end: Option<&'static str>,
}

/// A topic whose end has not been read yet.
struct OpenTopic {
    topic: Topic,
    place: Place,
    is_xml: bool,
}

/// Markup between `<` and `>`.
enum Tag<'a> {
    /// A start tag such as `title`, or an end tag such as `/top`, with its attributes.
    Named { name: &'a str, attributes: &'a str },
    /// A comment, a declaration or a processing instruction.
    Markup,
}

impl TopicReader {
    /// Processes one line and returns the topic that ends on it, if any.
    pub(super) fn line(&mut self, line: &str) -> Result<Option<Topic>> {
        let mut ended = None;
        let mut rest = line;
        while let Some((before, tag, after)) = self.split_at_tag(rest) {
            self.add_text(before)?;
            let topic = match tag {
                Tag::Markup => None,
                Tag::Named { name, attributes } => self.apply_tag(name, attributes)?,
            };
            if let Some(topic) = topic {
                if ended.is_some() {
                    return Err(Error::invalid(
                        "expected at most one topic to end on a line; start each topic on a new line",
                    ));
                }
                ended = Some(topic);
            }
            rest = after;
        }
        // The end of a comment or declaration may be on a later line.
        if self.markup_end.is_none() {
            self.add_text(rest)?;
        }
        Ok(ended)
    }

    /// Checks that no topic is open at the end of the file.
    pub(super) fn finish(&self) -> Result<()> {
        match &self.open {
            None => Ok(()),
            Some(open) => Err(Error::invalid(format!(
                "expected `</{}>` after topic {}, found the end of the file",
                match open.is_xml {
                    true => "topic",
                    false => "top",
                },
                quote(&number_of(&open.topic.number))
            ))),
        }
    }

    fn add_text(&mut self, text: &str) -> Result<()> {
        let Some(OpenTopic { topic, place, .. }) = &mut self.open else {
            if text.trim().is_empty() {
                return Ok(());
            }
            return Err(Error::invalid(format!(
                "expected `<top>` or `<topic>` before the text of a topic, found {}",
                quote(text.trim())
            )));
        };
        let part = match place {
            Place::Number => &mut topic.number,
            Place::Title => &mut topic.title,
            Place::Description => &mut topic.description,
            Place::Narrative => &mut topic.narrative,
            Place::Elsewhere => return Ok(()),
        };
        for word in text.split_whitespace() {
            if !part.is_empty() {
                part.push(' ');
            }
            part.push_str(word);
        }
        Ok(())
    }

    /// Processes a tag such as `title` or `/top`; returns the topic that it ends.
    fn apply_tag(&mut self, tag: &str, attributes: &str) -> Result<Option<Topic>> {
        let tag = tag.to_ascii_lowercase();
        let Some(open) = &mut self.open else {
            return match tag.as_str() {
                "topics" | "/topics" | "root" | "/root" => Ok(None),
                "top" | "topic" => {
                    self.begin(tag == "topic", attributes);
                    Ok(None)
                }
                _ => Err(Error::invalid(format!(
                    "expected `<top>` or `<topic>` at the start of a topic, found `<{tag}>`"
                ))),
            };
        };
        open.place = match tag.as_str() {
            "num" | "number" => Place::Number,
            "title" | "query" => Place::Title,
            "desc" | "question" | "description" => Place::Description,
            "narr" | "narrative" => Place::Narrative,
            "top" | "topic" => {
                return Err(Error::invalid(format!(
                    "expected the end of topic {}, found another `<{tag}>`",
                    quote(&number_of(&open.topic.number))
                )));
            }
            "/top" | "/topic" => return self.close().map(Some),
            _ => Place::Elsewhere,
        };
        Ok(None)
    }

    fn begin(&mut self, is_xml: bool, attributes: &str) {
        let number = ["number", "id"]
            .iter()
            .find_map(|name| attribute(attributes, name));
        self.open = Some(OpenTopic {
            topic: Topic {
                number: number.unwrap_or_default().to_owned(),
                ..Topic::default()
            },
            place: match is_xml {
                true => Place::Title,
                false => Place::Elsewhere,
            },
            is_xml,
        });
    }

    fn close(&mut self) -> Result<Topic> {
        let Some(OpenTopic { topic, .. }) = self.open.take() else {
            return Err(Error::invalid(
                "expected the start of a topic, found its end",
            ));
        };
        let topic = Topic {
            number: number_of(&topic.number),
            title: decoded(without_label(&topic.title, "Topic:")),
            description: decoded(without_label(&topic.description, "Description:")),
            narrative: decoded(without_label(&topic.narrative, "Narrative:")),
        };
        if topic.number.is_empty() {
            return Err(Error::invalid(
                "expected the topic's number in `<num>` or in an attribute `number`, found none before the topic's end",
            ));
        }
        Ok(topic)
    }
}

impl TopicReader {
    /// Splits at the first tag into the text before it, the tag, and the text after it.
    ///
    /// A tag is `<`, an optional `/`, ASCII letters, optional attributes, and `>`. Comments,
    /// declarations and processing instructions count as tags. Any other `<` is text.
    fn split_at_tag<'a>(&mut self, text: &'a str) -> Option<(&'a str, Tag<'a>, &'a str)> {
        if let Some(end) = self.markup_end {
            let start = text.find(end)?;
            self.markup_end = None;
            return Some(("", Tag::Markup, &text[start + end.len()..]));
        }
        for (start, _) in text.match_indices('<') {
            let (before, after) = (&text[..start], &text[start + 1..]);
            if let Some(end) = markup_end(after) {
                // The terminator may be on the same line: the caller splits the rest again.
                self.markup_end = Some(end);
                return Some((before, Tag::Markup, after));
            }
            if let Some(end) = after.find('>')
                && let Some(tag) = tag(after[..end].trim())
            {
                return Some((before, tag, &after[end + 1..]));
            }
        }
        None
    }
}

/// The terminator of the comment, declaration or processing instruction that begins with `<` and
/// `after`; `None` if it is none of these.
fn markup_end(after: &str) -> Option<&'static str> {
    [("!--", "-->"), ("?", "?>"), ("!", ">")]
        .iter()
        .find_map(|(start, end)| after.starts_with(start).then_some(*end))
}

/// Parses the text between `<` and `>` as a tag.
fn tag(inside: &str) -> Option<Tag<'_>> {
    let end = inside.find(|c: char| c.is_ascii_whitespace());
    let (name, attributes) = inside.split_at(end.unwrap_or(inside.len()));
    let letters = name.strip_prefix('/').unwrap_or(name);
    let is_name = !letters.is_empty() && letters.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_tag = is_name && (attributes.is_empty() || attributes.contains('='));
    is_tag.then_some(Tag::Named { name, attributes })
}

/// The value of an attribute, in single or double quotes.
fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = attributes.trim_start();
    while let Some((found, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| ['"', '\''].contains(c))?;
        let (value, after) = after[1..].split_once(quote)?;
        if found.trim().eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = after.trim_start();
    }
    None
}

/// The number without its label and, as in the published qrels, without leading zeros.
fn number_of(text: &str) -> String {
    let number = without_label(text, "Number:");
    if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
        let digits = number.trim_start_matches('0');
        return if digits.is_empty() { "0" } else { digits }.to_owned();
    }
    number.to_owned()
}

/// Replaces the entities of HTML, such as `&amp;` and `&#45;`; XML's five are among them.
fn decoded(text: &str) -> String {
    decode_html_entities(text).into_owned()
}

/// Drops a label such as `Number:` from the start of a part, in any case.
fn without_label<'a>(text: &'a str, label: &str) -> &'a str {
    match text.get(..label.len()) {
        Some(start) if start.eq_ignore_ascii_case(label) => text[label.len()..].trim_start(),
        _ => text,
    }
}

#[cfg(test)]
mod tests;
