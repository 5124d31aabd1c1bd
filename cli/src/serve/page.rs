//! The page for people: plain HTML, CSS and JavaScript, within the program.

use hyper::HeaderMap;

use super::reply::{self, Reply};

/// The description of the API.
pub const OPEN_API: &str = include_str!("openapi.json");

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// A file of the page.
#[derive(Debug, PartialEq, Eq)]
pub struct File {
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

static FILES: [File; 12] = [
    file("/", HTML, include_str!("page/page.html")),
    file("/page.css", CSS, include_str!("page/page.css")),
    file("/icon.svg", IMAGE, include_str!("page/icon.svg")),
    file("/page.js", SCRIPT, include_str!("page/page.js")),
    file("/api.js", SCRIPT, include_str!("page/api.js")),
    file("/compare.js", SCRIPT, include_str!("page/compare.js")),
    file("/engine.js", SCRIPT, include_str!("page/engine.js")),
    file("/facets.js", SCRIPT, include_str!("page/facets.js")),
    file("/results.js", SCRIPT, include_str!("page/results.js")),
    file(
        "/suggestions.js",
        SCRIPT,
        include_str!("page/suggestions.js"),
    ),
    file("/systems.js", SCRIPT, include_str!("page/systems.js")),
    file("/words.js", SCRIPT, include_str!("page/words.js")),
];

const fn file(path: &'static str, content_type: &'static str, text: &'static str) -> File {
    File {
        path,
        content_type,
        text,
    }
}

impl File {
    /// The file at a path.
    pub fn at(path: &str) -> Option<&'static Self> {
        FILES.iter().find(|file| file.path == path)
    }

    /// The response to a request with these headers.
    pub fn reply(&self, headers: &HeaderMap) -> Reply {
        reply::file(self.content_type, self.text, headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_asks_only_for_its_own_files_and_inserts_no_markup() {
        let file = |path: &str| File::at(path).unwrap().text;
        for path in ["/page.css", "/page.js", "/icon.svg"] {
            assert!(file("/").contains(&format!("\"{path}\"")), "{path}");
        }
        for File { path, text, .. } in &FILES {
            for refused in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
            ] {
                assert!(!text.contains(refused), "{path}: {refused}");
            }
            let addresses = text.replace("http://www.w3.org/2000/svg", "");
            assert!(
                !addresses.contains("http:") && !addresses.contains("https:"),
                "{path}"
            );
            for line in text.lines().filter(|line| line.starts_with("import ")) {
                let from = line.rsplit('"').nth(1).unwrap();
                assert!(File::at(&from.replace("./", "/")).is_some(), "{line}");
            }
        }
        assert!(!file("/").contains("style=") && !file("/").contains("<script>"));
    }
}
