//! Articles of SQuAD's JSON, one at a time, so that a file of any size can be read.

use std::fmt;
use std::io::{self, BufReader, Read};
use std::sync::atomic::Ordering;

use esparsa::{Error, Result};
use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use crate::input::Content;

const BUFFER_BYTES: usize = 1 << 16;

/// An article.
#[derive(Debug, Deserialize)]
pub(super) struct Article {
    #[serde(default)]
    pub title: Option<String>,
    pub paragraphs: Vec<Paragraph>,
}

/// A paragraph with questions about it.
#[derive(Debug, Deserialize)]
pub(super) struct Paragraph {
    pub context: String,
    #[serde(default, rename = "qas")]
    pub questions: Vec<Question>,
}

/// A question.
#[derive(Debug, Deserialize)]
pub(super) struct Question {
    #[serde(rename = "question")]
    pub text: String,
    #[serde(default)]
    id: Option<Id>,
    /// KLUE's name of the id.
    #[serde(default)]
    guid: Option<Id>,
    #[serde(default)]
    pub is_impossible: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(i64),
}

impl Question {
    /// The id, if there is one.
    pub fn id(&self) -> Option<String> {
        let id = self.id.as_ref().or(self.guid.as_ref())?;
        Some(match id {
            Id::Text(id) => id.clone(),
            Id::Number(id) => id.to_string(),
        })
    }
}

/// Why reading ended early.
#[derive(Debug)]
enum Failed {
    /// The file cannot be read.
    Read(io::Error),
    Other(Error),
}

/// Passes the articles of a file to `take`, each with the number of bytes of the file that were
/// read until then.
///
/// # Errors
///
/// The first error of `take`; [`Error::InvalidInput`] with file and line for what is not JSON of
/// this form; [`Error::Io`].
pub(super) fn each_article(
    mut content: Content,
    name: &str,
    mut take: impl FnMut(Article, u64) -> Result<()>,
) -> Result<()> {
    let bytes_read = content.bytes_read();
    let mut with_bytes = |article| take(article, bytes_read.load(Ordering::Relaxed));
    let read = read_articles(content.by_ref(), name, &mut with_bytes);
    read.map_err(|failed| match failed {
        Failed::Read(source) => content.read_error(source),
        Failed::Other(error) => error,
    })
}

fn read_articles(
    bytes: impl Read,
    name: &str,
    take: &mut dyn FnMut(Article) -> Result<()>,
) -> std::result::Result<(), Failed> {
    let buffered = BufReader::with_capacity(BUFFER_BYTES, bytes);
    let mut deserializer = serde_json::Deserializer::from_reader(buffered);
    let mut error = None;
    let root = Root {
        take,
        error: &mut error,
    };
    let read = root.deserialize(&mut deserializer);
    let read = read.and_then(|()| deserializer.end());
    match (error, read) {
        (Some(error), _) => Err(Failed::Other(error)),
        (None, Ok(())) => Ok(()),
        (None, Err(error)) if error.is_io() => Err(Failed::Read(error.into())),
        (None, Err(error)) => Err(Failed::Other(describe(&error, name))),
    }
}

/// Says what is wrong with JSON that is not of this form.
fn describe(error: &serde_json::Error, name: &str) -> Error {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = error.to_string();
    let message = message.strip_suffix(&place).unwrap_or(&message);
    Error::invalid(format!(
        "expected JSON as SQuAD has it (`data` of articles, with `paragraphs`, `context` and `qas`), found at column {}: \
         {message}",
        error.column()
    ))
    .at_line(name, error.line() as u64)
}

/// The object of a file, whose `data` are the articles.
struct Root<'a> {
    take: &'a mut dyn FnMut(Article) -> Result<()>,
    /// The error of `take`, which the parser cannot hold.
    error: &'a mut Option<Error>,
}

impl<'de> DeserializeSeed<'de> for Root<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Root<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with an array `data`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> std::result::Result<(), A::Error> {
        let mut has_data = false;
        while let Some(key) = entries.next_key::<String>()? {
            if key != "data" {
                entries.next_value::<IgnoredAny>()?;
                continue;
            }
            has_data = true;
            entries.next_value_seed(Articles {
                take: &mut *self.take,
                error: &mut *self.error,
            })?;
        }
        match has_data {
            true => Ok(()),
            false => Err(A::Error::missing_field("data")),
        }
    }
}

struct Articles<'a> {
    take: &'a mut dyn FnMut(Article) -> Result<()>,
    error: &'a mut Option<Error>,
}

impl<'de> DeserializeSeed<'de> for Articles<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Articles<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of articles")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut articles: A) -> std::result::Result<(), A::Error> {
        while let Some(article) = articles.next_element::<Article>()? {
            if let Err(error) = (self.take)(article) {
                *self.error = Some(error);
                return Err(A::Error::custom("the article is refused"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KLUE: &str = r#"{"version": "v1", "data": [
{"title": "화산", "news_category": null, "source": "wikipedia", "paragraphs": [
 {"context": "에트나는 시칠리아의 화산이다.", "qas": [
  {"question": "에트나는 어디에 있는가?", "answers": [{"text": "시칠리아", "answer_start": 5}],
   "question_type": 1, "is_impossible": false, "guid": "train_1"},
  {"question": "누가 발견했나?", "plausible_answers": [], "question_type": 3, "is_impossible": true,
   "guid": "train_2"}]}]},
{"paragraphs": [{"context": "x", "qas": []}]}]}"#;

    fn read(bytes: &[u8]) -> std::result::Result<Vec<Article>, Failed> {
        let mut articles = Vec::new();
        read_articles(bytes, "a.json", &mut |article| {
            articles.push(article);
            Ok(())
        })?;
        Ok(articles)
    }

    fn message(text: &str) -> String {
        match read(text.as_bytes()).unwrap_err() {
            Failed::Other(error) => error.to_string(),
            Failed::Read(source) => panic!("{source}"),
        }
    }

    #[test]
    fn questions_have_an_id_or_a_guid() {
        let articles = read(KLUE.as_bytes()).unwrap();
        assert_eq!(articles.len(), 2);
        assert_eq!(articles[0].title.as_deref(), Some("화산"));
        let questions = &articles[0].paragraphs[0].questions;
        assert_eq!(questions[0].id().as_deref(), Some("train_1"));
        assert_eq!(questions[1].is_impossible, Some(true));
        let squad = r#"{"data":[{"title":null,"paragraphs":[{"context":"c","qas":[{"id":7,"question":"q"},{"question":"q"}]}]}]}"#;
        let articles = read(squad.as_bytes()).unwrap();
        let questions = &articles[0].paragraphs[0].questions;
        assert_eq!(questions[0].id().as_deref(), Some("7"));
        assert_eq!(questions[1].id(), None);
    }

    #[test]
    fn what_is_not_of_this_form_is_named_with_its_line() {
        for (text, line, expected) in [
            ("{\"version\": 1}", 1, "missing field `data`"),
            ("[]", 1, "an object with an array `data`"),
            ("{\n\"data\": {}}", 2, "an array of articles"),
            (
                "{\"data\": [\n{\"title\": \"a\"}]}",
                2,
                "missing field `paragraphs`",
            ),
            ("{\"data\": []} x", 1, "trailing characters"),
            ("{\"data\": [", 1, "EOF"),
            ("", 1, "EOF"),
        ] {
            let message = message(text);
            assert!(
                message.starts_with(&format!("a.json:{line}: ")),
                "{message}"
            );
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn deep_arrays_are_refused() {
        let deep = format!("{{\"data\": [{}", "[".repeat(100_000));
        assert!(read(deep.as_bytes()).is_err());
        let deep = format!("{{\"other\": {}", "[".repeat(100_000));
        assert!(read(deep.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn changed_bytes_never_panic(
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
            cut in any::<proptest::sample::Index>(),
        ) {
            let mut bytes = KLUE.as_bytes().to_vec();
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            let _ = read(&bytes);
            let _ = read(&bytes[..cut.index(bytes.len())]);
        }
    }
}
