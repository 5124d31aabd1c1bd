//! The name of an analyzer as users give it: lists of stop words may be in files.

use std::path::Path;

use esparsa::text::Analyzer;
use esparsa::{Error, Result};

/// The canonical name of an analyzer.
///
/// In a chain, `stop:@FILE` drops the words of a file, one a line; lines that begin with `#` are
/// comments. They become part of the name, so the index needs the file no more.
pub(crate) fn analyzer_name(name: &str) -> Result<String> {
    let mut parts = Vec::new();
    for part in name.split('|') {
        parts.push(match part.trim().strip_prefix("stop:@") {
            Some(path) => stop_words(path.trim().as_ref())?,
            None => part.to_owned(),
        });
    }
    Ok(Analyzer::named(&parts.join("|"))?.name().to_owned())
}

/// The part of a chain that drops the words of a file.
fn stop_words(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::io(path, "read", error))?;
    let lines = text.lines().map(str::trim);
    let words = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let chain = Analyzer::chain(TOKENIZER).stop_words(words).build()?;
    match chain.name().strip_prefix(TOKENIZER) {
        Some(part) if !part.is_empty() => Ok(part.trim_start_matches('|').to_owned()),
        _ => Err(Error::invalid(format!(
            "{}: expected stop words, one a line, found none",
            path.display()
        ))),
    }
}

/// Any tokenizer: only the part after it is used.
const TOKENIZER: &str = "standard";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_words_come_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("words.txt");
        std::fs::write(&file, "# names\r\nAcme, Inc.\n\n  ltd \n").unwrap();
        let name = format!(
            "whitespace | lowercase | stop:@{} | stem:en",
            file.display()
        );
        assert_eq!(
            analyzer_name(&name).unwrap(),
            "whitespace|lowercase|stop:Acme\\, Inc.,ltd|stem:en"
        );
        std::fs::write(&file, "# nothing\n").unwrap();
        assert!(
            analyzer_name(&name)
                .unwrap_err()
                .to_string()
                .contains("found none")
        );
        assert!(analyzer_name("standard|stop:@no-such-file").is_err());
        assert_eq!(analyzer_name("pt-BR").unwrap(), "portuguese");
    }
}
