//! Prompts: what is put before texts.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::Result;

use super::super::settings::Settings;

/// The prompts of a model by name, and the default one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prompts {
    /// All prompts.
    pub named: BTreeMap<String, String>,
    /// The name of the prompt for texts that are neither queries nor documents.
    pub default: Option<String>,
}

impl Prompts {
    pub(super) fn read(about: &Settings) -> Result<Self> {
        let mut named = BTreeMap::new();
        if let Some(prompts) = about.object("prompts")? {
            for (name, prompt) in prompts.keys() {
                match prompt {
                    Value::Null => {}
                    Value::String(prompt) => {
                        named.insert(name.clone(), prompt.clone());
                    }
                    other => return Err(about.wrong(name, "a prompt", other)),
                }
            }
        }
        let default = about.text("default_prompt_name")?.map(str::to_owned);
        if let Some(name) = &default
            && !named.contains_key(name)
        {
            return Err(about.wrong(
                "default_prompt_name",
                "the name of a prompt",
                format!("`{name}`"),
            ));
        }
        Ok(Self { named, default })
    }

    /// The prompt of queries, which may be empty.
    pub fn query(&self) -> &str {
        self.first(&["query"])
    }

    /// The prompt of documents, which may be empty: the one named `document`, or else `passage`, or
    /// else `corpus`.
    pub fn document(&self) -> &str {
        self.first(&["document", "passage", "corpus"])
    }

    fn first(&self, names: &[&str]) -> &str {
        let found = names.iter().find_map(|name| self.named.get(*name));
        found.map_or("", String::as_str)
    }

    /// Puts a prefix before the prompt of this name.
    pub(super) fn prepend(&mut self, name: &str, prefix: &str) {
        let prompt = self.named.entry(name.to_owned()).or_default();
        if !prompt.starts_with(prefix) {
            prompt.insert_str(0, prefix);
        }
    }
}
