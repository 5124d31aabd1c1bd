//! The options of a training run: the keys of its configuration, as arguments.

use std::path::Path;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command};
use esparsa::train::TrainOptions;
use esparsa::{Error, Result};

/// Keys that were given as options, with their values as they were written.
pub(super) struct Keys(Vec<(String, String)>);

/// Adds the configuration and an option for each key.
pub(super) fn augment(command: Command) -> Command {
    let config = Arg::new("config")
        .value_name("CONFIG.toml")
        .value_parser(clap::value_parser!(std::path::PathBuf))
        .help("A configuration; the options below are its keys");
    let command = command.arg(config);
    TrainOptions::KEYS.iter().fold(command, |command, key| {
        let name = key.name.replace('_', "-");
        let argument = Arg::new(key.name)
            .long(name)
            .value_name("VALUE")
            .help(key.help.trim());
        command.arg(match flags().contains(&key.name) {
            true => argument
                .num_args(0..=1)
                .default_missing_value("true")
                .value_parser(PossibleValuesParser::new(["true", "false"])),
            false => argument,
        })
    })
}

/// Keys that are true or false: their option needs no value.
fn flags() -> Vec<&'static str> {
    let defaults = toml::Table::try_from(TrainOptions::default()).unwrap_or_default();
    let is_flag = |name: &str| {
        let value = defaults.get(&name.replace('_', "-"));
        value.is_some_and(toml::Value::is_bool)
    };
    let names = TrainOptions::KEYS.iter().map(|key| key.name);
    names.filter(|name| is_flag(name)).collect()
}

impl Keys {
    pub(super) fn of(matches: &ArgMatches) -> Self {
        let names = TrainOptions::KEYS.iter().map(|key| key.name);
        let given = names.filter_map(|name| {
            let value = matches.get_one::<String>(name)?;
            Some((name.replace('_', "-"), value.clone()))
        });
        Self(given.collect())
    }

    /// The options of a configuration with those that were given.
    pub(super) fn options(&self, config: Option<&Path>) -> Result<TrainOptions> {
        let mut table = match config {
            None => toml::Table::new(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| Error::io(path, "read", source))?;
                text.parse().map_err(|error: toml::de::Error| {
                    Error::invalid(format!(
                        "expected TOML, found an error: {}",
                        error.message()
                    ))
                    .at_line(path.display().to_string(), 0)
                })?
            }
        };
        for (name, written) in &self.0 {
            table.insert(name.clone(), value_of(name, written));
        }
        let read: std::result::Result<TrainOptions, _> = table.try_into();
        read.map_err(|error: toml::de::Error| {
            let file = config.map_or("the options".to_owned(), |path| path.display().to_string());
            Error::invalid(format!("the configuration of {file}: {}", error.message()))
        })
    }
}

/// A value as it would be read in a configuration, or else a string. Several losses are separated by
/// commas.
fn value_of(name: &str, written: &str) -> toml::Value {
    if name == "losses" {
        let each = written.split(',').map(|loss| loss.trim().into());
        return toml::Value::Array(each.collect());
    }
    let parsed = format!("value = {written}").parse::<toml::Table>();
    let value = parsed.ok().and_then(|mut table| table.remove("value"));
    let value = value.unwrap_or_else(|| written.into());
    // A whole number is a float where one is expected.
    let defaults = toml::Table::try_from(TrainOptions::default()).unwrap_or_default();
    match (&value, defaults.get(name)) {
        (toml::Value::Integer(number), Some(toml::Value::Float(_))) => {
            toml::Value::Float(*number as f64)
        }
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(given: &[(&str, &str)]) -> Keys {
        let each = given.iter();
        Keys(
            each.map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
        )
    }

    #[test]
    fn options_have_precedence_over_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        std::fs::write(
            &path,
            "base = \"m\"\nlearning-rate = 1e-3\nlosses = [\"kl\"]\n",
        )
        .unwrap();
        let given = keys(&[("learning-rate", "2"), ("losses", "softmax,margin-mse*0.1")]);
        let options = given.options(Some(&path)).unwrap();
        assert_eq!(options.base, Path::new("m"));
        assert_eq!(options.learning_rate, 2.0);
        assert_eq!(options.losses, ["softmax", "margin-mse*0.1"]);
        let options = keys(&[("overfit", "batch"), ("inference-free", "true")]);
        let options = options.options(None).unwrap();
        assert!(options.inference_free && options.overfit.is_some());
    }

    #[test]
    fn keys_that_are_none_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        std::fs::write(&path, "learning-rat = 1\n").unwrap();
        let error = keys(&[]).options(Some(&path)).unwrap_err().to_string();
        assert!(error.contains("learning-rat"), "{error}");
        std::fs::write(&path, "= 1\n").unwrap();
        assert!(keys(&[]).options(Some(&path)).is_err());
        assert!(keys(&[("batch", "many")]).options(None).is_err());
    }

    #[test]
    fn flags_are_found() {
        let flags = flags();
        assert!(flags.contains(&"inference_free") && !flags.contains(&"batch"));
    }
}
