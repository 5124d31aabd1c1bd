//! The modules that a folder lists, and the folders that they are in.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, Result};

use super::super::settings::{Settings, read_value};

/// The names of `sentence_bert_config.json`; older versions named it after the family.
const TRANSFORMER_SETTINGS: [&str; 7] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];

/// One module of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Where its files are.
    pub(super) folder: PathBuf,
    /// The last part of its type, such as `Pooling`.
    pub(super) kind: String,
    /// It is from PyLate, whose modules work on tokens by default.
    pub(super) is_of_pylate: bool,
}

/// The modules of a model: for documents, and for queries if these have their own.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) steps: Vec<Step>,
    pub(super) queries: Option<Vec<Step>>,
}

impl Layout {
    /// The first module, which must be a transformer.
    pub(super) fn transformer(&self) -> Result<&Step> {
        match self.steps.first() {
            Some(step) if matches!(step.kind.as_str(), "Transformer" | "MLMTransformer") => {
                Ok(step)
            }
            Some(step) => Err(Error::model(
                &step.folder,
                format!(
                    "expected a Transformer as the first module, found {}, which is not supported there",
                    step.kind
                ),
            )),
            None => Err(Error::model(
                "",
                "expected a list of modules, found an empty one",
            )),
        }
    }
}

/// Reads `modules.json`, and the router's own list if there is one; `None` if there is no
/// `modules.json`.
pub(super) fn read(root: &Path) -> Result<Option<Layout>> {
    let path = root.join("modules.json");
    if !path.is_file() {
        return Ok(None);
    }
    let value = read_value(&path)?;
    let list = value
        .as_array()
        .filter(|list| !list.is_empty())
        .ok_or_else(|| Error::model(&path, "expected a list of modules"))?;
    let mut steps = Vec::new();
    let mut queries: Option<Vec<Step>> = None;
    for item in list {
        let text = |key: &str| item.get(key).and_then(Value::as_str);
        let (Some(kind), Some(subfolder)) = (text("type"), text("path")) else {
            return Err(Error::model(
                &path,
                format!("expected each module to have `type` and `path`, found {item}"),
            ));
        };
        let step = step(&path, root, subfolder, kind)?;
        if !matches!(step.kind.as_str(), "Router" | "Asym") {
            queries
                .iter_mut()
                .for_each(|queries| queries.push(step.clone()));
            steps.push(step);
            continue;
        }
        let routes = router(&step.folder)?;
        let mut own = queries.take().unwrap_or_else(|| steps.clone());
        own.extend(routes.query);
        steps.extend(routes.document);
        queries = Some(own);
    }
    // If both routes have the same modules, there is nothing to route.
    let queries = queries.filter(|queries| *queries != steps);
    Ok(Some(Layout { steps, queries }))
}

struct Routes {
    query: Vec<Step>,
    document: Vec<Step>,
}

/// The two routes of a router: `query` and `document`.
fn router(folder: &Path) -> Result<Routes> {
    let current = folder.join("router_config.json");
    let path = if current.is_file() {
        current
    } else {
        folder.join("config.json")
    };
    let settings = Settings::read(&path)?;
    let missing =
        |key: &str| settings.error(format!("expected `{key}`, which a Router has, found none"));
    let types = settings.object("types")?.ok_or_else(|| missing("types"))?;
    let structure = settings
        .object("structure")?
        .ok_or_else(|| missing("structure"))?;
    if let Some(parameters) = settings.object("parameters")?
        && let Some(mappings) = parameters.object("route_mappings")?
        && !mappings.keys().is_empty()
    {
        return Err(settings
            .error("`route_mappings` is not supported; the routes `query` and `document` are"));
    }
    let route = |name: &str| -> Result<Vec<Step>> {
        let ids = structure
            .texts(name)?
            .filter(|ids| !ids.is_empty())
            .ok_or_else(|| {
                let names: Vec<&String> = structure.keys().keys().collect();
                settings.error(format!(
                    "expected the routes `query` and `document`, found {names:?}"
                ))
            })?;
        ids.iter()
            .map(|id| {
                let kind = types.text(id)?.ok_or_else(|| {
                    settings.error(format!("expected a type for the module `{id}`, found none"))
                })?;
                step(&path, folder, id, kind)
            })
            .collect()
    };
    Ok(Routes {
        query: route("query")?,
        document: route("document")?,
    })
}

/// A module in a subfolder; `list` is the file that names it.
fn step(list: &Path, root: &Path, subfolder: &str, kind: &str) -> Result<Step> {
    let is_below = Path::new(subfolder)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !is_below {
        return Err(Error::model(
            list,
            format!("expected the path of a module below this folder, found `{subfolder}`"),
        ));
    }
    let folder = match subfolder {
        "" => root.to_path_buf(),
        below => root.join(below),
    };
    Ok(Step {
        folder,
        kind: kind.rsplit('.').next().unwrap_or(kind).to_owned(),
        is_of_pylate: kind.starts_with("pylate."),
    })
}

/// The settings of a Transformer module: limits and task.
pub(crate) fn transformer_settings(folder: &Path) -> Result<Option<Settings>> {
    for name in TRANSFORMER_SETTINGS {
        if let Some(settings) = Settings::read_if_there(&folder.join(name))? {
            return Ok(Some(settings));
        }
    }
    Ok(None)
}
