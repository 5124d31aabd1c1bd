//! The parts that a model's fingerprint is computed from.

use xxhash_rust::xxh3::Xxh3;

use super::super::settings::{Settings, canonical};

/// Settings that do not change results: the program that wrote the file, and how Python runs the
/// model.
const IGNORED: [&str; 10] = [
    "__version__",
    "_attn_implementation_autoset",
    "_commit_hash",
    "_name_or_path",
    "name_or_path",
    "dtype",
    "torch_dtype",
    "transformers_version",
    "unpad_inputs",
    "use_cache",
];

/// A hash of parts, each with its length, so that different lists of parts never hash the same
/// bytes.
#[derive(Clone)]
pub(super) struct Identity(Xxh3);

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({:032x})", self.hash())
    }
}

impl Identity {
    pub(super) fn new() -> Self {
        let mut identity = Self(Xxh3::new());
        identity.add_text("esparsa model 1");
        identity
    }

    pub(super) fn add_text(&mut self, text: &str) {
        self.0.update(&(text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
    }

    pub(super) fn add_number(&mut self, number: u128) {
        self.0.update(&number.to_le_bytes());
    }

    pub(super) fn add_settings(&mut self, settings: &Settings) {
        let mut text = String::new();
        canonical(&settings.keys().clone().into(), &IGNORED, &mut text);
        self.add_text(&text);
    }

    pub(super) fn hash(&self) -> u128 {
        self.0.digest128()
    }
}
