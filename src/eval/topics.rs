//! TREC topics, in the old layout and the new one.
//!
//! A topic stands between `<top>` and `</top>`. Its parts begin with a tag and mostly have no
//! closing tag; old topics have parts of their own (`<dom>`, `<con>`, ...), which are skipped. The
//! tags are found wherever they stand in a line, and a part runs to the next tag.

use super::lines::quote;
use super::queries::Query;
use crate::error::{Error, Result};

/// The parts of a topic that serve as a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TopicPart {
    /// `<title>`: a few words, the usual choice.
    #[default]
    Title,
    /// `<desc>`: a sentence.
    Description,
    /// `<narr>`: a paragraph that says what is relevant.
    Narrative,
    /// Title, then description.
    TitleAndDescription,
}

/// One topic; white space within a part is collapsed.
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
        Ok(Query {
            id: self.number,
            text: Some(text),
            ..Query::default()
        })
    }
}

/// The part of a topic that text is being added to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Number,
    Title,
    Description,
    Narrative,
    /// In a part that is not kept, or between parts.
    Elsewhere,
}

/// Reads topics line by line.
#[derive(Default)]
pub(super) struct TopicReader {
    open: Option<OpenTopic>,
}

/// A topic whose `</top>` has not come yet.
struct OpenTopic {
    topic: Topic,
    place: Place,
}

impl TopicReader {
    /// Takes one line and returns the topic that ends on it, if any.
    pub(super) fn line(&mut self, line: &str) -> Result<Option<Topic>> {
        let mut ended = None;
        let mut rest = line;
        while let Some((before, tag, after)) = split_at_tag(rest) {
            self.add_text(before)?;
            if let Some(topic) = self.apply_tag(tag)? {
                if ended.is_some() {
                    return Err(Error::invalid(
                        "expected at most one topic to end on a line; start each topic on a new line",
                    ));
                }
                ended = Some(topic);
            }
            rest = after;
        }
        self.add_text(rest)?;
        Ok(ended)
    }

    /// Checks that no topic is left open at the end of the file.
    pub(super) fn finish(&self) -> Result<()> {
        match &self.open {
            None => Ok(()),
            Some(open) => Err(Error::invalid(format!(
                "expected `</top>` after topic {}, found the end of the file",
                quote(&number_of(&open.topic.number))
            ))),
        }
    }

    fn add_text(&mut self, text: &str) -> Result<()> {
        let Some(OpenTopic { topic, place }) = &mut self.open else {
            if text.trim().is_empty() {
                return Ok(());
            }
            return Err(Error::invalid(format!(
                "expected `<top>` before the text of a topic, found {}",
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

    /// Follows a tag such as `title` or `/top`; returns the topic that it ends.
    fn apply_tag(&mut self, tag: &str) -> Result<Option<Topic>> {
        let tag = tag.to_ascii_lowercase();
        let Some(open) = &mut self.open else {
            if tag != "top" {
                return Err(Error::invalid(format!(
                    "expected `<top>` at the start of a topic, found `<{tag}>`"
                )));
            }
            self.open = Some(OpenTopic {
                topic: Topic::default(),
                place: Place::Elsewhere,
            });
            return Ok(None);
        };
        open.place = match tag.as_str() {
            "num" => Place::Number,
            "title" => Place::Title,
            "desc" => Place::Description,
            "narr" => Place::Narrative,
            "top" => {
                return Err(Error::invalid(format!(
                    "expected `</top>` after topic {}, found another `<top>`",
                    quote(&number_of(&open.topic.number))
                )));
            }
            "/top" => return self.close().map(Some),
            _ => Place::Elsewhere,
        };
        Ok(None)
    }

    fn close(&mut self) -> Result<Topic> {
        let Some(OpenTopic { topic, .. }) = self.open.take() else {
            return Err(Error::invalid("expected `<top>`, found `</top>`"));
        };
        let topic = Topic {
            number: number_of(&topic.number),
            title: decode(without_label(&topic.title, "Topic:")),
            description: decode(without_label(&topic.description, "Description:")),
            narrative: decode(without_label(&topic.narrative, "Narrative:")),
        };
        if topic.number.is_empty() {
            return Err(Error::invalid(
                "expected `<num>` with a number in the topic, found none before `</top>`",
            ));
        }
        Ok(topic)
    }
}

/// Splits at the first tag into the text before it, the tag's name, and the text after it.
///
/// A tag is `<`, perhaps `/`, ASCII letters, `>`; any other `<` is text.
fn split_at_tag(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(start) = text[from..].find('<') {
        let start = from + start;
        let after = &text[start + 1..];
        if let Some(end) = after.find('>') {
            let name = after[..end].trim();
            let letters = name.strip_prefix('/').unwrap_or(name);
            if !letters.is_empty() && letters.bytes().all(|byte| byte.is_ascii_alphabetic()) {
                return Some((&text[..start], name, &after[end + 1..]));
            }
        }
        from = start + 1;
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

/// Drops a label such as `Number:` from the start of a part, whatever its case.
fn without_label<'a>(text: &'a str, label: &str) -> &'a str {
    match text.get(..label.len()) {
        Some(start) if start.eq_ignore_ascii_case(label) => text[label.len()..].trim_start(),
        _ => text,
    }
}

/// Replaces the character entities of SGML that topics use.
fn decode(text: &str) -> String {
    // `&amp;` last, so that `&amp;lt;` becomes `&lt;` and not `<`.
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "
<top>
<head> Tipster Topic Description
<num> Number:  051
<dom> Domain:  International Economics
<title> Topic:  Airbus Subsidies

<desc> Description:
Document mentions subsidies
  &amp; grants, x < 5.

<narr> Narrative:
Relevant if so.

<con> Concept(s):
1. Airbus
<fac> Factor(s):
<nat> Nationality: U.S.
</fac>
<def> Definition(s):
</top>

<top>
<num> Number: 052
<title> Topic: South African Sanctions
</top>
";
    const NEW: &str = "<top>\r\n<num>Number: 701</num><title> U.S.  oil\r\n industry\r\n</title>\r\n\
                       <DESC>Description:\r\nWhy?</DESC>\r\n</top>\r\n";

    fn read(text: &str) -> Result<Vec<Topic>> {
        let mut reader = TopicReader::default();
        let mut topics = Vec::new();
        for line in text.lines() {
            topics.extend(reader.line(line)?);
        }
        reader.finish()?;
        Ok(topics)
    }

    #[test]
    fn old_topics_lose_labels_zeros_and_parts_that_are_not_kept() {
        let topics = read(OLD).unwrap();
        assert_eq!(topics.len(), 2);
        assert_eq!(topics[0].number, "51");
        assert_eq!(topics[0].title, "Airbus Subsidies");
        assert_eq!(
            topics[0].description,
            "Document mentions subsidies & grants, x < 5."
        );
        assert_eq!(topics[0].narrative, "Relevant if so.");
        assert_eq!(topics[1].title, "South African Sanctions");
    }

    #[test]
    fn new_topics_may_close_their_parts() {
        let topics = read(NEW).unwrap();
        assert_eq!(topics[0].number, "701");
        assert_eq!(topics[0].title, "U.S. oil industry");
        assert_eq!(topics[0].description, "Why?");
    }

    #[test]
    fn each_part_can_be_the_query() {
        let topic = read(OLD).unwrap().remove(0);
        let text = |part| topic.clone().into_query(part).unwrap().text.unwrap();
        assert_eq!(text(TopicPart::Title), "Airbus Subsidies");
        assert_eq!(text(TopicPart::Narrative), "Relevant if so.");
        assert!(text(TopicPart::Description).starts_with("Document mentions"));
        assert!(
            text(TopicPart::TitleAndDescription).starts_with("Airbus Subsidies Document mentions")
        );
    }

    #[test]
    fn a_topic_without_the_part_asked_for_is_an_error() {
        let topic = read(OLD).unwrap().remove(1);
        let error = topic.into_query(TopicPart::Description).unwrap_err();
        assert!(
            error.to_string().contains("<desc> in topic `52`"),
            "{error}"
        );
    }

    #[test]
    fn broken_topics_are_refused() {
        for (text, expected) in [
            ("<top>\n<num> 1\n", "found the end of the file"),
            ("<top>\n<num> 1\n<top>\n", "another `<top>`"),
            ("<num> 1\n", "found `<num>`"),
            ("words\n<top>\n", "found `words`"),
            ("<top>\n<title> a\n</top>\n", "expected `<num>`"),
            ("<top><num>1</top><top><num>2</top>\n", "one topic"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }
}
