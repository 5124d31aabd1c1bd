//! The options of an analyzer: names after a `+`, as in `english+fold`.

use crate::error::{Error, Result};

use super::mojibake;

/// The options of one analyzer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// Any two adjacent syllables of a Korean compound word find it.
    pub compounds: bool,
    /// Removes accents of Latin letters.
    pub fold: bool,
    /// Repairs text that was decoded with the wrong character set.
    pub mojibake: bool,
    /// The parts of a compound token find it too.
    pub parts: bool,
    /// Keeps stop words.
    pub stopwords: bool,
}

/// The name of an option, and its field.
type Named = (&'static str, fn(&mut Options) -> &mut bool);

/// All options, sorted by name.
const NAMES: [Named; 5] = [
    ("compounds", |options| &mut options.compounds),
    ("fold", |options| &mut options.fold),
    ("mojibake", |options| &mut options.mojibake),
    ("parts", |options| &mut options.parts),
    ("stopwords", |options| &mut options.stopwords),
];

impl Options {
    /// Sets the option called `option`; `analyzer` is the whole name, for errors.
    pub(super) fn set(&mut self, option: &str, analyzer: &str) -> Result<()> {
        let Some((name, place)) = NAMES
            .into_iter()
            .find(|(name, _)| option.eq_ignore_ascii_case(name))
        else {
            let known: Vec<_> = NAMES.iter().map(|(name, _)| format!("`{name}`")).collect();
            return Err(Error::invalid(format!(
                "analyzer `{analyzer}`: unknown option `{option}`; expected one of {}",
                known.join(", ")
            )));
        };
        if name == "mojibake" {
            mojibake::require()?;
        }
        *place(self) = true;
        Ok(())
    }

    /// Checks that the options apply to the language `name`.
    pub(super) fn check(self, name: &str, has_stop_words: bool, has_compounds: bool) -> Result<()> {
        for (asked, has, option, what) in [
            (
                self.stopwords,
                has_stop_words,
                "stopwords",
                "stop words to keep",
            ),
            (
                self.compounds,
                has_compounds,
                "compounds",
                "compounds to split, Korean has",
            ),
        ] {
            if asked && !has {
                return Err(Error::invalid(format!(
                    "analyzer `{name}+{option}`: `{name}` has no {what}; leave the option out"
                )));
            }
        }
        Ok(())
    }

    /// Appends the options to the name of an analyzer, in sorted order.
    pub(super) fn append_to(mut self, name: &mut String) {
        for (option, place) in NAMES {
            if *place(&mut self) {
                name.push('+');
                name.push_str(option);
            }
        }
    }
}
