//! What the Rust drivers beside other engines share: folders of work, and the frame of a driver.
//!
//! The contract that both keep is in `benches/peers/README.md`.

pub mod documents;
pub mod driver;
pub mod forms;
pub mod measure;
pub mod work;

/// Whatever goes wrong ends the program, so a message is enough.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The result of what can go wrong.
pub type Result<T> = std::result::Result<T, Error>;
