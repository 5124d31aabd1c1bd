//! Systems: the ways in which an index can be searched, by its fields and the models of the server.

use esparsa::{FieldKind, Snapshot};
use serde::{Serialize, Serializer};

use super::error::ApiError;
use super::models::Models;
use super::parameters::Parameters;
use super::query::text_fields;

/// A way to rank documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// Words, by BM25.
    Bm25,
    /// A sparse vector that a model makes of the query.
    Sparse,
    /// A dense vector that a model makes of the query.
    Dense,
    /// The rankings of the others fused.
    Fused,
}

/// A system that an index can be searched with.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct SystemReport {
    system: System,
    /// The field of vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// The name of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
}

impl System {
    /// All systems.
    const ALL: [Self; 4] = [Self::Bm25, Self::Sparse, Self::Dense, Self::Fused];

    /// The name in parameters and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bm25 => "bm25",
            Self::Sparse => "sparse",
            Self::Dense => "dense",
            Self::Fused => "fused",
        }
    }

    /// The system of this name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|system| system.name() == name)
    }

    /// Takes `system`.
    ///
    /// # Errors
    ///
    /// 400 for an unknown one.
    pub fn take(parameters: &mut Parameters) -> Result<Option<Self>, ApiError> {
        let Some(name) = parameters.text("system")? else {
            return Ok(None);
        };
        let system = Self::named(&name);
        let system = system.ok_or_else(|| {
            let names = Self::ALL.map(|system| format!("`{}`", system.name()));
            ApiError::invalid(format!(
                "expected one of {} for `system`, found `{}`; correct it or leave it out",
                names.join(", "),
                name.chars().take(60).collect::<String>()
            ))
        });
        system.map(Some)
    }
}

impl Serialize for System {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The systems that an index can be searched with.
pub fn systems_of(snapshot: &Snapshot, models: &Models) -> Vec<SystemReport> {
    let report = |system, field, model| SystemReport {
        system,
        field,
        model,
    };
    let mut systems = Vec::new();
    let mut kinds = 0;
    if !text_fields(snapshot).is_empty() {
        systems.push(report(System::Bm25, None, None));
        kinds += 1;
    }
    for (system, kind) in [
        (System::Sparse, FieldKind::Sparse),
        (System::Dense, FieldKind::Dense),
    ] {
        let before = systems.len();
        systems.extend(models.fields(snapshot, kind).map(|(field, encoder)| {
            report(system, Some(field.name.clone()), Some(encoder.name.clone()))
        }));
        kinds += usize::from(systems.len() > before);
    }
    if kinds > 1 {
        systems.push(report(System::Fused, None, None));
    }
    systems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_have_names_that_are_read_back() {
        for system in System::ALL {
            assert_eq!(System::named(system.name()), Some(system));
        }
        assert_eq!(System::named("BM25"), None);
    }
}
