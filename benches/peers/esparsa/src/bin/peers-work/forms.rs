//! Queries of each form, and columns, for the documents of a text work.
//!
//! Queries are made of the words of the work's own queries, or for phrases of its documents. They take
//! words of ASCII letters and digits only, which every engine's syntax leaves alone.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;

use peers::Result;
use peers::forms::{COLUMNS_FILE, FORMS, KEYWORDS, NUMBERS, SELECTIVITIES, filter_form};
use peers::work::{Kind, Work};

use crate::random::{Random, Ranks};

const FOR_COLUMNS: u64 = 21;
const FOR_QUERIES: u64 = 22;
const FOR_PHRASES: u64 = 23;
/// Words of a union, at most and at least.
const MAX_WORDS: usize = 8;
const MIN_WORDS: usize = 2;
/// Letters of a word that begins with a prefix, and of one that is looked for by its neighbors: twice the edits and
/// one, so that engines which refuse matches that share no letter find the same.
const MIN_LETTERS_OF_PREFIX: usize = 4;
const MIN_LETTERS_OF_FUZZY: usize = 5;

/// Makes a work of `queries` queries of each form, with the documents of a text work.
pub fn make(source: &Path, queries: u32, seed: u64, out: &Path) -> Result<Work> {
    let text = Work::open(source)?;
    if text.kind != Kind::Text {
        return Err("expected a work of texts".into());
    }
    let documents = out.join(Kind::Forms.documents_file());
    if fs::hard_link(text.documents_path(), &documents).is_err() {
        fs::copy(text.documents_path(), &documents)?;
    }
    fs::write(out.join(COLUMNS_FILE), columns(text.documents, seed))?;

    let maker = Maker {
        lists: lists_of_words(&text)?,
        queries: queries as usize,
        seed,
    };
    let write = |form: &str, lines: Vec<String>| -> Result<()> {
        if lines.len() < queries as usize {
            let found = lines.len();
            return Err(
                format!("expected {queries} queries of the form {form}, found {found}").into(),
            );
        }
        let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
        Ok(fs::write(out.join(format!("{form}.txt")), lines)?)
    };
    for form in FORMS {
        let lines = match form {
            "phrase-2" => maker.phrases(&text, 2)?,
            "phrase-3" => maker.phrases(&text, 3)?,
            form => maker.of_form(form),
        };
        write(form, lines)?;
    }
    for selectivity in SELECTIVITIES {
        for is_same in [false, true] {
            write(
                &filter_form(selectivity, is_same),
                maker.filtered(selectivity, is_same)?,
            )?;
        }
    }
    Ok(Work {
        folder: out.to_path_buf(),
        kind: Kind::Forms,
        name: format!("{}-forms", text.name),
        queries,
        seed: Some(seed),
        ..text
    })
}

/// The columns of every document: a number, all being as likely, and the number of a keyword by Zipf's law.
fn columns(documents: u32, seed: u64) -> Vec<u8> {
    // An exponent of 1 has no power to invert.
    let ranks = Ranks::new(KEYWORDS as usize, 1.0, 1.001);
    let columns = (0..documents).flat_map(|document| {
        let mut random = Random::new(seed, FOR_COLUMNS, u64::from(document));
        let number = random.below(NUMBERS as usize) as u32;
        let keyword = ranks.draw(&mut random) as u32;
        [number.to_le_bytes(), keyword.to_le_bytes()]
    });
    columns.flatten().collect()
}

/// The different words of each query, of those that have enough.
fn lists_of_words(work: &Work) -> Result<Vec<Vec<String>>> {
    let mut lists = Vec::new();
    for line in work.read_queries(None)? {
        let words = words_of(std::str::from_utf8(&line)?);
        if words.len() >= MIN_WORDS {
            lists.push(words);
        }
    }
    if lists.is_empty() {
        return Err("no query has two words".into());
    }
    Ok(lists)
}

fn words_of(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in line.split(' ').filter(|word| is_word(word)) {
        if !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
    }
    words
}

fn is_word(word: &str) -> bool {
    !word.is_empty()
        && word
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

struct Maker {
    lists: Vec<Vec<String>>,
    queries: usize,
    seed: u64,
}

impl Maker {
    /// The words of all queries, the first of them from all over the list: neighbors may be alike.
    fn lists(&self) -> impl Iterator<Item = &[String]> {
        let step = (self.lists.len() / self.queries).max(1);
        let lists = (0..step).flat_map(move |start| self.lists.iter().skip(start).step_by(step));
        lists.map(|words| &words[..words.len().min(MAX_WORDS)])
    }

    /// The words of unions, two to eight of them.
    fn unions(&self) -> impl Iterator<Item = Vec<String>> {
        let counts = (MIN_WORDS..=MAX_WORDS).cycle();
        let unions = self.lists().zip(counts);
        let unions = unions.map(|(words, count)| words[..count.min(words.len())].to_vec());
        unions.take(self.queries)
    }

    fn of_form(&self, form: &str) -> Vec<String> {
        let lines = self.lists().enumerate().filter_map(|(place, words)| {
            let [first, second, ..] = words else {
                return None;
            };
            match form {
                "intersection" => {
                    let count = MIN_WORDS + place % 2;
                    let words = words.iter().take(count).map(|word| format!("+{word}"));
                    Some(words.collect::<Vec<_>>().join(" "))
                }
                "must-should" => Some(format!("+{first} {second}")),
                "negation" => Some(format!("{first} -{second}")),
                "prefix" => {
                    let word = longer(words, MIN_LETTERS_OF_PREFIX, place)?;
                    Some(format!("{}*", &word[..3 + place % 2]))
                }
                "fuzzy-1" => Some(format!(
                    "{}~1",
                    misspelt(longer(words, MIN_LETTERS_OF_FUZZY, place)?, place)
                )),
                "fuzzy-2" => Some(format!(
                    "{}~2",
                    misspelt(longer(words, MIN_LETTERS_OF_FUZZY, place)?, place)
                )),
                _ => None,
            }
        });
        match form {
            "union" => self.unions().map(|words| words.join(" ")).collect(),
            _ => lines.take(self.queries).collect(),
        }
    }

    /// Unions with a range of numbers, each with its own or all with the same.
    fn filtered(&self, selectivity: &str, is_same: bool) -> Result<Vec<String>> {
        let width = (selectivity.parse::<f64>()? * f64::from(NUMBERS)) as u32;
        let lines = self.unions().enumerate().map(|(place, words)| {
            let place = if is_same { 0 } else { place as u64 };
            let mut random = Random::new(self.seed, FOR_QUERIES, place);
            let low = random.below((NUMBERS - width) as usize) as u32;
            format!("{} #{low}..{}", words.join(" "), low + width - 1)
        });
        Ok(lines.collect())
    }

    /// Words that follow one another in a document: of documents from all over the file.
    fn phrases(&self, work: &Work, length: usize) -> Result<Vec<String>> {
        let file = BufReader::new(fs::File::open(work.documents_path())?);
        let step = (work.documents as usize / self.queries / 4).max(1);
        let mut phrases = Vec::new();
        for (number, line) in file.lines().enumerate().step_by(step) {
            let line = line?;
            let words: Vec<&str> = line.split(' ').collect();
            let mut random = Random::new(self.seed, FOR_PHRASES, number as u64);
            let Some(starts) = (words.len() + 1)
                .checked_sub(length)
                .filter(|starts| *starts > 0)
            else {
                continue;
            };
            let start = random.below(starts);
            let phrase = &words[start..start + length];
            let mut different = phrase.to_vec();
            different.sort_unstable();
            different.dedup();
            if different.len() == length && phrase.iter().all(|word| is_word(word)) {
                phrases.push(format!("\"{}\"", phrase.join(" ")));
            }
            if phrases.len() == self.queries {
                break;
            }
        }
        Ok(phrases)
    }
}

/// A word of at least this number of letters, another one for each place.
fn longer(words: &[String], letters: usize, place: usize) -> Option<&str> {
    let mut long = words.iter().filter(|word| word.len() >= letters);
    let count = long.clone().count();
    long.nth(place.checked_rem(count)?).map(String::as_str)
}

/// Every other word has two letters in the wrong order.
fn misspelt(word: &str, place: usize) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    if place % 2 == 1 {
        letters.swap(2, 3);
    }
    letters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use peers::forms::{Columns, Form};

    fn maker() -> Maker {
        let line = "alpha beta gamma delta epsilon zeta eta theta iota";
        let lists = (0..50).map(|_| words_of(line)).collect();
        Maker {
            lists,
            queries: 20,
            seed: 1,
        }
    }

    #[test]
    fn unions_have_two_to_eight_words() {
        let counts: Vec<usize> = maker().unions().map(|words| words.len()).collect();
        assert_eq!(counts.len(), 20);
        assert_eq!(
            (counts.iter().min(), counts.iter().max()),
            (Some(&2), Some(&8))
        );
    }

    #[test]
    fn lines_are_of_their_form() {
        let parse = |form: &str| Form::parse(maker().of_form(form)[1].as_bytes()).unwrap();
        assert_eq!(parse("intersection").must, ["alpha", "beta", "gamma"]);
        assert_eq!(parse("negation").must_not, ["beta"]);
        assert_eq!(parse("prefix").prefix.as_deref(), Some("beta"));
        assert_eq!(parse("fuzzy-2").fuzzy, Some(("gamma".into(), 2)));
        assert_eq!(misspelt("gamma", 1), "gamma");
        assert_eq!(misspelt("alpha", 1), "alhpa");
    }

    #[test]
    fn ranges_keep_the_share_that_they_are_named_by() {
        let columns = columns(20_000, 1);
        let folder = std::env::temp_dir().join(format!("peers-columns-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(COLUMNS_FILE), columns).unwrap();
        let columns = Columns::read(&folder, 20_000).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        let lines = maker().filtered("0.1", false).unwrap();
        let (low, high) = Form::parse(lines[0].as_bytes()).unwrap().range.unwrap();
        let kept = (0..20_000).filter(|document| (low..=high).contains(&columns.number(*document)));
        assert!((1_800..2_200).contains(&kept.count()));
        let first = (0..20_000)
            .filter(|document| columns.keyword(*document) == "k000")
            .count();
        assert!((1_500..3_500).contains(&first), "{first}");
        assert_ne!(lines[0].split('#').nth(1), lines[1].split('#').nth(1));
        let same = maker().filtered("0.1", true).unwrap();
        assert_eq!(same[0].split('#').nth(1), same[1].split('#').nth(1));
    }
}
