//! Searches of an index in the browser. JavaScript fetches the files of an index and adds them to
//! an [`EsparsaIndex`], which opens them in memory and searches them on the thread of its caller.
//!
//! Requests and answers are JSON, in the shapes of `esparsa serve`; `esparsa.js` beside this crate
//! is the interface for people. Mistakes become an `Error` of JavaScript with the message of the
//! library.

mod answer;
mod document;
mod engine;
mod passages;
mod request;

use std::cell::OnceCell;

use esparsa::store::Memory;
use esparsa::{Error, Result};
use js_sys::Uint8Array;
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

use self::engine::Engine;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn log_error(message: &str);
}

/// Without this, a panic would say nothing but `unreachable`.
#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|panic| log_error(&panic.to_string())));
}

/// The files of an index, and once it is open, the index.
///
/// All methods take `&self`: a `&mut self` would stay borrowed for ever after a trap.
#[wasm_bindgen]
#[derive(Debug, Default)]
pub struct EsparsaIndex {
    files: Memory,
    engine: OnceCell<Engine>,
}

#[wasm_bindgen]
impl EsparsaIndex {
    /// An index without files.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file of the index, as it is on disk. A file that was added before is replaced.
    ///
    /// # Errors
    ///
    /// When the index is open, or there is no memory left.
    pub fn add_file(&self, name: &str, content: &Uint8Array) -> std::result::Result<(), JsError> {
        if self.engine.get().is_some() {
            return Err(JsError::new(
                "expected files before `open`, found one after it; make another index",
            ));
        }
        // Out of memory must be an error here: these are the only large allocations.
        let length = content.length() as usize;
        let mut bytes = Vec::new();
        if bytes.try_reserve_exact(length).is_err() {
            return Err(JsError::new(&format!(
                "expected memory for the {length} bytes of `{name}`, found too little; use a \
                 smaller index"
            )));
        }
        bytes.resize(length, 0);
        content.copy_to(&mut bytes);
        self.files.overwrite(name, bytes);
        Ok(())
    }

    /// Opens the index whose files were added. Its answers do not change afterwards.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged, or a newer version wrote the index.
    pub fn open(&self) -> std::result::Result<(), JsError> {
        if self.engine.get().is_none() {
            let engine = Engine::open(self.files.clone())?;
            // It is empty: there is one thread, which checked just now.
            let _ = self.engine.set(engine);
        }
        Ok(())
    }

    /// Searches. Request and answer are JSON; README.md lists their keys.
    ///
    /// # Errors
    ///
    /// For mistakes in the request, and when bytes that must be read are damaged.
    pub fn search(&self, request: &str) -> std::result::Result<String, JsError> {
        Ok(self.engine()?.search(request)?)
    }

    /// The most frequent terms of a text field, or keywords of a column, that begin with a prefix:
    /// a JSON array of objects with `text` and `documents`.
    ///
    /// # Errors
    ///
    /// When there is no such field, or `n` is 0.
    pub fn complete(
        &self,
        field: &str,
        prefix: &str,
        n: usize,
    ) -> std::result::Result<String, JsError> {
        Ok(self.engine()?.complete(field, prefix, n)?)
    }

    /// Number of documents.
    ///
    /// # Errors
    ///
    /// When the index is not open.
    pub fn documents(&self) -> std::result::Result<f64, JsError> {
        // A number of JavaScript is exact up to 2^53, and memory ends before.
        Ok(self.engine()?.documents() as f64)
    }

    /// The fields: a JSON array of objects with `name`, `kind`, and `analyzer` or `column_type`.
    ///
    /// # Errors
    ///
    /// When the index is not open.
    pub fn schema(&self) -> std::result::Result<String, JsError> {
        Ok(self.engine()?.schema()?)
    }

    fn engine(&self) -> Result<&Engine> {
        self.engine.get().ok_or_else(|| {
            Error::invalid("expected an open index, found one that is not; call `open`")
        })
    }
}
