//! The bodies of the fuzz targets. They are here, and not in the folder `fuzz`, so that the tests of
//! the package run them too; each file is a module of its own program there.

pub mod analyzers;
pub mod block;
pub mod column;
pub mod container;
pub mod deletes;
pub mod dense;
pub mod dictionary;
pub mod ids;
pub mod manifest;
pub mod model;
#[cfg(feature = "neural")]
pub mod model_config;
pub mod open;
pub mod patterns;
pub mod positions;
pub mod query;
pub mod query_json;
pub mod range_list;
#[cfg(feature = "neural")]
pub mod safetensors;
pub mod schema;
pub mod segment_info;
pub mod sparse_postings;
pub mod stored;
pub mod text_postings;
#[cfg(feature = "neural")]
pub mod tokenizer_json;
pub mod topics_qrels_runs;
