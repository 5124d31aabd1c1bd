//! The model card: what the model was trained from, with what, how good it is, and how to load it.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::neural::{ModelFolder, ScoreActivation};

use super::super::EvaluationRecord;
use super::{Export, ExportKind};

/// What a model card says beside what the model itself says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Card<'a> {
    /// The title; empty: one made of the kind and the base.
    pub title: &'a str,
    /// The name of the model that training started from; empty: that of its folder.
    pub base: &'a str,
    /// Languages of the data, such as `pt`.
    pub languages: &'a [String],
    /// The data: names, and what each is.
    pub data: &'a [(String, String)],
    /// The options of training, by name.
    pub options: &'a [(String, String)],
    /// Evaluations in the order of steps.
    pub evaluations: &'a [EvaluationRecord],
    /// Programs and devices: names and versions.
    pub versions: &'a [(String, String)],
}

impl Card<'_> {
    /// The text of `README.md`.
    pub(super) fn text(
        &self,
        export: &Export<'_>,
        base: &ModelFolder,
        max_tokens: usize,
    ) -> String {
        let about = About::of(&export.kind);
        let name = match self.base {
            "" => folder_name(base),
            named => named.to_owned(),
        };
        let mut text = self.front_matter(&about);
        let title = match self.title {
            "" => format!("{} from {name}", about.title),
            title => title.to_owned(),
        };
        let _ = write!(
            text,
            "# {title}\n\n{} Trained from `{name}` with esparsa {}.\n\n",
            about.what,
            env!("CARGO_PKG_VERSION")
        );
        let mut facts = vec![
            ("Vocabulary".to_owned(), base.config.vocabulary.to_string()),
            ("Layers".to_owned(), base.config.layers.to_string()),
            ("Dimensions".to_owned(), base.config.hidden.to_string()),
            ("Max tokens".to_owned(), max_tokens.to_string()),
        ];
        let mut is_graded = false;
        if let ExportKind::CrossEncoder { labels, activation } = &export.kind {
            facts.push(("Labels".to_owned(), labels.join(", ")));
            is_graded = *activation == ScoreActivation::ExpectedGrade;
        }
        section(&mut text, "Model", &pairs(["", ""], &facts));
        section(&mut text, "Evaluation", &self.evaluation_table());
        section(&mut text, "Data", &pairs(["data", "what"], self.data));
        section(
            &mut text,
            "Options",
            &pairs(["option", "value"], self.options),
        );
        section(
            &mut text,
            "Versions",
            &pairs(["program", "version"], self.versions),
        );
        section(&mut text, "How to load it", about.usage);
        if is_graded {
            section(&mut text, "Grades", GRADES);
        }
        if export.has_echo(base) {
            section(&mut text, "Lexical echo", ECHO);
        }
        text
    }

    fn front_matter(&self, about: &About) -> String {
        let mut text = format!(
            "---\nlibrary_name: sentence-transformers\npipeline_tag: {}\ntags:\n- esparsa\n",
            about.pipeline
        );
        for tag in about.tags {
            let _ = writeln!(text, "- {tag}");
        }
        if !self.languages.is_empty() {
            text.push_str("language:\n");
        }
        for language in self.languages {
            let _ = writeln!(text, "- {language}");
        }
        text.push_str("---\n\n");
        text
    }

    /// A row for each evaluation, a column for each metric.
    fn evaluation_table(&self) -> String {
        let metrics: BTreeSet<&String> = self
            .evaluations
            .iter()
            .flat_map(|evaluation| evaluation.metrics.keys())
            .collect();
        let has_terms = self.evaluations.iter().any(|e| e.active_terms.is_some());
        let mut columns = vec!["step".to_owned()];
        columns.extend(metrics.iter().map(|metric| (*metric).clone()));
        if has_terms {
            columns.extend(["terms of a query", "terms of a document"].map(str::to_owned));
        }
        let rows = self.evaluations.iter().map(|evaluation| {
            let mut row = vec![match evaluation.is_best {
                true => format!("**{}**", evaluation.step),
                false => evaluation.step.to_string(),
            }];
            row.extend(metrics.iter().map(|metric| {
                let value = evaluation.metrics.get(*metric);
                value.map_or(String::new(), |value| format!("{value:.4}"))
            }));
            if has_terms {
                let terms = evaluation.active_terms;
                let shown = |terms: Option<f64>| terms.map_or(String::new(), |n| format!("{n:.1}"));
                row.extend([shown(terms.map(|t| t.0)), shown(terms.map(|t| t.1))]);
            }
            row
        });
        table(&columns, &rows.collect::<Vec<_>>())
    }
}

/// What the kind of a model puts on its card.
struct About {
    title: &'static str,
    what: &'static str,
    pipeline: &'static str,
    tags: &'static [&'static str],
    usage: &'static str,
}

impl About {
    fn of(kind: &ExportKind) -> Self {
        match kind {
            ExportKind::Splade { .. } => Self {
                title: "SPLADE",
                what: "A sparse vector over the vocabulary for each query and each document.",
                pipeline: "feature-extraction",
                tags: &["sparse-encoder", "sparse", "splade"],
                usage: SPARSE_USAGE,
            },
            ExportKind::InferenceFree { .. } => Self {
                title: "Inference-free SPLADE",
                what: "A sparse vector over the vocabulary for each document; the weights of a query's tokens are looked up in a \
                       table.",
                pipeline: "feature-extraction",
                tags: &[
                    "sparse-encoder",
                    "sparse",
                    "splade",
                    "asymmetric",
                    "inference-free",
                ],
                usage: SPARSE_USAGE,
            },
            ExportKind::BiEncoder { .. } => Self {
                title: "Bi-encoder",
                what: "A dense vector for each query and each document.",
                pipeline: "sentence-similarity",
                tags: &["sentence-transformers", "dense"],
                usage: DENSE_USAGE,
            },
            ExportKind::LateInteraction { .. } => Self {
                title: "Late interaction",
                what: "A dense vector for each token of a query or document; documents are scored by MaxSim.",
                pipeline: "sentence-similarity",
                tags: &[
                    "sentence-transformers",
                    "multi-vector",
                    "late-interaction",
                    "ColBERT",
                ],
                usage: LATE_USAGE,
            },
            ExportKind::CrossEncoder { .. } => Self {
                title: "Cross-encoder",
                what: "A score for each pair of a query and a document.",
                pipeline: "text-ranking",
                tags: &["cross-encoder", "reranker"],
                usage: CROSS_USAGE,
            },
        }
    }
}

const SPARSE_USAGE: &str = "\
In Python, with sentence-transformers 5 or newer:

```python
from sentence_transformers import SparseEncoder

model = SparseEncoder(\"FOLDER\")
queries = model.encode_query([\"what is a volcano\"])
documents = model.encode_document([\"Etna is a volcano.\"])
print(model.similarity(queries, documents))
```

With esparsa:

```sh
esparsa encode documents.jsonl --model FOLDER --output vectors.jsonl
esparsa index vectors.jsonl --index my.index
esparsa search --index my.index --model FOLDER \"what is a volcano\"
```
";

const GRADES: &str = "\
The labels are grades of relevance. sentence-transformers gives the logit of each; esparsa ranks by the \
expected grade.
";

const ECHO: &str = "\
The folder `echo` has weights of single tokens that are added to the vector of a text for each of its \
own tokens. esparsa reads them; sentence-transformers does not, so its vectors lack them.
";

const DENSE_USAGE: &str = "\
In Python:

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer(\"FOLDER\")
queries = model.encode_query([\"what is a volcano\"])
documents = model.encode_document([\"Etna is a volcano.\"])
print(model.similarity(queries, documents))
```

With esparsa:

```sh
esparsa encode documents.jsonl --model FOLDER --output vectors.jsonl
```
";

const LATE_USAGE: &str = "\
In Python, with sentence-transformers 6 or newer (a model that was trained from one of PyLate keeps \
PyLate's layout):

```python
from sentence_transformers import MultiVectorEncoder

model = MultiVectorEncoder(\"FOLDER\")
queries = model.encode_query([\"what is a volcano\"])
documents = model.encode_document([\"Etna is a volcano.\"])
print(model.similarity(queries, documents))
```

With esparsa:

```sh
esparsa rerank --index my.index --queries queries.tsv --run bm25.run --model FOLDER --output reranked.run
```
";

const CROSS_USAGE: &str = "\
In Python:

```python
from sentence_transformers import CrossEncoder

model = CrossEncoder(\"FOLDER\")
print(model.predict([(\"what is a volcano\", \"Etna is a volcano.\")]))
```

With esparsa:

```sh
esparsa rerank --index my.index --queries queries.tsv --run bm25.run --model FOLDER --output reranked.run
```
";

fn folder_name(base: &ModelFolder) -> String {
    let path = base.path.canonicalize();
    let path = path.as_ref().unwrap_or(&base.path);
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// Appends a section, unless it is empty.
fn section(text: &mut String, title: &str, content: &str) {
    if !content.is_empty() {
        let _ = write!(text, "## {title}\n\n{}\n\n", content.trim_end());
    }
}

fn pairs(columns: [&str; 2], rows: &[(String, String)]) -> String {
    let rows: Vec<_> = rows
        .iter()
        .map(|(name, value)| vec![name.clone(), value.clone()])
        .collect();
    table(&columns.map(str::to_owned), &rows)
}

/// A table in Markdown; empty without rows.
fn table(columns: &[String], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut text = line(columns);
    text.push_str(&line(&vec!["---".to_owned(); columns.len()]));
    for row in rows {
        text.push_str(&line(row));
    }
    text
}

fn line(cells: &[String]) -> String {
    let cells: Vec<_> = cells
        .iter()
        .map(|cell| cell.replace('|', "\\|").replace(['\n', '\r'], " "))
        .collect();
    format!("| {} |\n", cells.join(" | "))
}
