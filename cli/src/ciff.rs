//! `esparsa ciff`: lists of terms from and to other engines, in the Common Index File Format (Lin et
//! al., "Supporting Interoperability Between Open-Source Search Engines with the Common Index File
//! Format", SIGIR 2020).
//!
//! | file | concept |
//! | --- | --- |
//! | `message` | the messages of a file, one behind the other |
//! | `export` | a field of an index becomes a file |
//! | `import` | a file becomes documents of an index |

mod export;
mod import;
mod message;

use clap::Subcommand;
use esparsa::Result;

/// Arguments of `esparsa ciff`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  The words of an index for PISA or another engine:
    esparsa ciff export --index my.index --field text --output my.ciff

  An index from the impacts of a learned sparse model:
    esparsa ciff import splade.ciff --index splade.index --kind sparse --field splade

Terms are exchanged as they are in the index. A query of words is analyzed by the engine that wrote the
file, or, as in the new index, its terms are given separated by blanks.")]
pub struct Ciff {
    #[command(subcommand)]
    direction: Direction,
}

#[derive(Subcommand)]
enum Direction {
    /// Write a field of an index to a file: frequencies of words, or impacts.
    Export(export::Export),
    /// Make a new index of a file, whose frequencies are those of words, or impacts.
    Import(import::Import),
}

impl Ciff {
    /// Exports or imports.
    ///
    /// # Errors
    ///
    /// What reading and writing give, and [`Error::InvalidInput`](esparsa::Error::InvalidInput) for a
    /// file or a field that does not fit.
    pub fn run(self) -> Result<()> {
        match self.direction {
            Direction::Export(export) => export.run(),
            Direction::Import(import) => import.run(),
        }
    }
}
