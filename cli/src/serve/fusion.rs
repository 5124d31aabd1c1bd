//! The parameters of a fusion: its method, and the weight of each system.

use esparsa::rank::{Fusion, Normalization};

use super::error::ApiError;
use super::parameters::Parameters;
use super::system::System;

/// Hits of each ranking that are fused, unless another number is given.
const DEFAULT_DEPTH: usize = 100;
/// The systems that a fusion may have.
const PARTS: [System; 3] = [System::Bm25, System::Sparse, System::Dense];

/// How rankings are fused.
pub struct FusionRequest {
    fusion: Fusion,
    weights: Vec<(System, f64)>,
    /// Hits of each ranking that are fused.
    pub depth: usize,
}

impl FusionRequest {
    /// Takes `fusion`, `normalization`, `weights` and `fusion_k`; `None` unless the system is fused.
    ///
    /// # Errors
    ///
    /// 400 for mistakes in them, and for any of them with another system.
    pub fn take(
        parameters: &mut Parameters,
        system: System,
        max_k: usize,
    ) -> Result<Option<Self>, ApiError> {
        let method = parameters.text("fusion")?;
        let normalization = parameters.text("normalization")?;
        let weights = parameters.texts("weights", PARTS.len())?;
        let depth = parameters.size("fusion_k", 0)?;
        if system != System::Fused {
            if method.is_some() || normalization.is_some() || weights.is_some() || depth > 0 {
                return Err(ApiError::invalid(
                    "expected `fusion`, `normalization`, `weights` and `fusion_k` with `system=fused`, found them with \
                     another system; leave them out",
                ));
            }
            return Ok(None);
        }
        let depth = match depth {
            0 => DEFAULT_DEPTH.min(max_k),
            depth => depth,
        };
        if depth > max_k {
            return Err(ApiError::invalid(format!(
                "expected `fusion_k` from 1 to {max_k}, found {depth}; correct it or leave it out"
            )));
        }
        let weights = weights.unwrap_or_default();
        let weights = weights.iter().map(|text| weight(text));
        let weights = weights.collect::<Result<Vec<_>, _>>()?;
        if let Some(twice) = (1..weights.len()).find(|at| {
            let (system, _) = weights[*at];
            weights[..*at].iter().any(|(other, _)| *other == system)
        }) {
            return Err(ApiError::invalid(format!(
                "expected one weight for each system in `weights`, found two for `{}`; leave one",
                weights[twice].0.name()
            )));
        }
        Ok(Some(Self {
            fusion: fusion(method.as_deref(), normalization.as_deref())?,
            weights,
            depth,
        }))
    }

    /// The weight of a system; one of weight 0 is left out.
    pub fn weight(&self, system: System) -> f64 {
        let given = self.weights.iter().find(|(other, _)| *other == system);
        given.map_or(1.0, |(_, weight)| *weight)
    }

    /// The fusion of rankings of these systems.
    pub fn of(&self, systems: &[System]) -> Fusion {
        let weights = systems.iter().map(|system| self.weight(*system));
        self.fusion.clone().weights(weights)
    }
}

fn fusion(method: Option<&str>, normalization: Option<&str>) -> Result<Fusion, ApiError> {
    match (method, normalization) {
        (None | Some("rrf"), None) => Ok(Fusion::reciprocal_rank()),
        (None | Some("rrf"), Some(_)) => Err(ApiError::invalid(
            "expected `normalization` with `fusion=weighted-sum`, found it with `rrf`, which reads ranks only; leave it out",
        )),
        (Some("weighted-sum"), name) => {
            let normalization = name.unwrap_or("min-max").parse::<Normalization>();
            let normalization = normalization
                .map_err(|error| ApiError::invalid(format!("`normalization`: {error}")))?;
            Ok(Fusion::weighted_sum(normalization))
        }
        (Some(other), _) => Err(ApiError::invalid(format!(
            "expected `rrf` or `weighted-sum` for `fusion`, found `{}`; correct it or leave it out",
            other.chars().take(60).collect::<String>()
        ))),
    }
}

/// Reads `SYSTEM:WEIGHT`.
fn weight(text: &str) -> Result<(System, f64), ApiError> {
    let read = text.split_once(':').and_then(|(name, weight)| {
        let system = System::named(name).filter(|system| PARTS.contains(system))?;
        let weight: f64 = weight.parse().ok()?;
        (weight.is_finite() && (0.0..=1e6).contains(&weight)).then_some((system, weight))
    });
    read.ok_or_else(|| {
        ApiError::invalid(format!(
            "expected `SYSTEM:WEIGHT` in `weights`, with bm25, sparse or dense and a number from 0 to 1000000, such as \
             `sparse:0.7`, found `{}`; correct it",
            text.chars().take(60).collect::<String>()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(query: &str) -> Result<Option<FusionRequest>, ApiError> {
        let mut parameters = Parameters::read(query, b"")?;
        FusionRequest::take(&mut parameters, System::Fused, 500)
    }

    #[test]
    fn a_system_without_a_weight_has_weight_one() {
        let request = take("weights=sparse:0.25&weights=dense:0")
            .unwrap()
            .unwrap();
        let weights = PARTS.map(|system| request.weight(system));
        assert_eq!(weights, [1.0, 0.25, 0.0]);
        assert_eq!(request.depth, DEFAULT_DEPTH);
    }

    #[test]
    fn mistakes_are_refused() {
        for query in [
            "fusion=sum",
            "fusion=rrf&normalization=sum",
            "fusion=weighted-sum&normalization=minmax",
            "weights=sparse",
            "weights=fused:1",
            "weights=sparse:-1",
            "weights=sparse:inf",
            "weights=sparse:1&weights=sparse:2",
            "fusion_k=501",
        ] {
            assert!(take(query).is_err(), "{query}");
        }
        let mut parameters = Parameters::read("fusion=rrf", b"").unwrap();
        assert!(FusionRequest::take(&mut parameters, System::Bm25, 500).is_err());
    }
}
