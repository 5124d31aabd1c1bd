//! `esparsa completions`: scripts that complete arguments in a shell.

use clap::CommandFactory;
use clap_complete::Shell;
use esparsa::Result;

use crate::Cli;
use crate::output::Output;

/// Arguments of `esparsa completions`.
#[derive(clap::Args)]
pub struct Completions {
    /// The shell; `source <(esparsa completions bash)` tries it out.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    /// Prints the script.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](esparsa::Error::Io) when it cannot be printed.
    pub fn run(self) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "esparsa", &mut script);
        let mut output = Output::new();
        output.line(script.trim_ascii_end())?;
        output.finish()
    }
}
