//! Small models with random weights, and documents for them.

use std::path::{Path, PathBuf};

use esparsa::neural::{Cpu, CpuOptions};
use serde_json::Value;

pub fn model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/neural/models")
        .join(name)
}

pub fn cpu() -> Cpu {
    Cpu::new(CpuOptions::default()).unwrap()
}

/// The text of a document.
pub fn text(number: usize) -> String {
    let words = [
        "volcano", "lava", "bees", "honey", "rivers", "flow", "the", "Ação", "25 %", "snow",
    ];
    let words =
        (0..3 + number * 7 % 50).map(|place| words[(number * 3 + place * place) % words.len()]);
    words.collect::<Vec<_>>().join(" ")
}

/// BEIR lines of documents; every third has a title.
pub fn corpus(count: usize) -> String {
    let lines = (0..count).map(|number| {
        let title = if number % 3 == 0 { "A title" } else { "" };
        let line =
            serde_json::json!({"_id": format!("d{number}"), "title": title, "text": text(number)});
        format!("{line}\n")
    });
    lines.collect()
}

pub fn contents(number: usize) -> String {
    match number % 3 {
        0 => format!("A title {}", text(number)),
        _ => text(number),
    }
}

/// Id and vector of each line.
pub fn vectors(lines: &str) -> Vec<(String, Value)> {
    let parsed = lines.lines().map(|line| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        let id = value["id"].as_str().unwrap().to_owned();
        (id, value["vector"].take())
    });
    parsed.collect()
}

pub fn encode(model: &Path, more: &str) -> String {
    format!("encode in.jsonl --model {} {more}", model.display())
}
