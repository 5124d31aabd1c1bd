//! esparsa
pub mod error;
pub mod format;
pub use error::{Error, Result};
pub use format::Schema;
