//! The settings in `tokenizer_config.json` and the files that belong to it.

use std::path::Path;

use serde_json::Value;

use crate::error::Result;

use super::super::settings::Settings;

/// The settings of a tokenizer outside of its vocabulary; `None` where the files do not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TokenizerSettings {
    /// The class in Python.
    pub(super) class: Option<String>,
    pub(super) lowercases: Option<bool>,
    pub(super) strips_accents: Option<bool>,
    pub(super) splits_chinese: Option<bool>,
    pub(super) adds_space: Option<bool>,
    /// Texts that are too long are truncated on the left.
    pub(super) keeps_end: bool,
    /// False if the model gets no token types.
    pub(super) gives_types: bool,
    pub(super) unknown: Option<String>,
    pub(super) separator: Option<String>,
    pub(super) padding: Option<String>,
    pub(super) classifier: Option<String>,
    pub(super) mask: Option<String>,
    /// Whether the mask absorbs the spaces before it.
    pub(super) mask_takes_spaces: Option<bool>,
    pub(crate) max_tokens: Option<usize>,
}

impl TokenizerSettings {
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let mut settings = Self {
            gives_types: true,
            ..Self::default()
        };
        // tokenizer_config.json overrides the older file.
        for file in ["special_tokens_map.json", "tokenizer_config.json"] {
            if let Some(found) = Settings::read_if_there(&folder.join(file))? {
                settings.add_specials(&found)?;
                settings.add(&found)?;
            }
        }
        Ok(settings)
    }

    fn add_specials(&mut self, found: &Settings) -> Result<()> {
        for (key, place) in [
            ("unk_token", &mut self.unknown),
            ("sep_token", &mut self.separator),
            ("pad_token", &mut self.padding),
            ("cls_token", &mut self.classifier),
            ("mask_token", &mut self.mask),
        ] {
            if let Some(token) = token(found, key)? {
                *place = Some(token);
            }
        }
        if let Some(Value::Object(mask)) = found.value("mask_token")
            && let Some(takes) = mask.get("lstrip").and_then(Value::as_bool)
        {
            self.mask_takes_spaces = Some(takes);
        }
        Ok(())
    }

    fn add(&mut self, found: &Settings) -> Result<()> {
        if let Some(class) = found.text("tokenizer_class")? {
            self.class = Some(class.to_owned());
        }
        for (key, place) in [
            ("do_lower_case", &mut self.lowercases),
            ("strip_accents", &mut self.strips_accents),
            ("tokenize_chinese_chars", &mut self.splits_chinese),
            ("add_prefix_space", &mut self.adds_space),
        ] {
            if let Some(flag) = found.flag(key)? {
                *place = Some(flag);
            }
        }
        if let Some(side) = found.text("truncation_side")? {
            self.keeps_end = side == "left";
        }
        if let Some(inputs) = found.texts("model_input_names")? {
            self.gives_types = inputs.iter().any(|name| name == "token_type_ids");
        }
        // `transformers` writes a number of thirty digits for no limit.
        if let Some(limit) = found.number("model_max_length")?
            && (1.0..1e9).contains(&limit)
        {
            self.max_tokens = Some(limit as usize);
        }
        Ok(())
    }

    /// True for the classes in Python that set BERT's normalizer from these settings, in spite of
    /// `tokenizer.json`.
    pub(super) fn is_of_bert(&self) -> bool {
        self.is_of_class(&["BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer"])
    }

    /// True for the class that does the same with RoBERTa's space before a text.
    pub(super) fn is_of_roberta(&self) -> bool {
        self.is_of_class(&["RobertaTokenizer"])
    }

    fn is_of_class(&self, names: &[&str]) -> bool {
        let class = self.class.as_deref().unwrap_or_default();
        names.contains(&class.strip_suffix("Fast").unwrap_or(class))
    }
}

/// A special token, which is written as a string or as an object with `content`.
fn token(found: &Settings, key: &str) -> Result<Option<String>> {
    match found.value(key) {
        None => Ok(None),
        Some(Value::String(token)) => Ok(Some(token.clone())),
        Some(value) => match value.get("content").and_then(Value::as_str) {
            Some(token) => Ok(Some(token.to_owned())),
            None => Err(found.wrong(key, "a token", value)),
        },
    }
}
