//! `esparsa cuda`: the kernels for NVIDIA GPUs, compiled ahead of time.

use std::path::PathBuf;

use clap::Subcommand;
use esparsa::Result;
use esparsa::neural::{CompiledModule, Cuda as Backend};
use serde_json::json;

use crate::index::thread_count;
use crate::output::Output;
use crate::size::Size;

/// Arguments of `esparsa cuda`.
#[derive(clap::Args)]
pub struct Cuda {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compile all kernels for the GPUs of an architecture, which need not be here: a machine with
    /// ESPARSA_CACHE set to the output folder then compiles nothing. With ESPARSA_CACHE_ANY=1 it
    /// also takes what another version of NVRTC compiled, and needs none itself.
    Compile(Compile),
}

#[derive(clap::Args)]
struct Compile {
    /// The architecture, such as sm_80 or sm_90a (sm_90 is the same: both kinds of kernels are
    /// compiled); may be given several times.
    #[arg(long, value_name = "SM", required = true)]
    arch: Vec<String>,
    /// The folder of the compiled kernels, which is created if there is none.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Number of threads [default: all cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    /// Print one JSON object for each kernel.
    #[arg(long)]
    json: bool,
}

impl Cuda {
    /// Runs the subcommand.
    ///
    /// # Errors
    ///
    /// What compiling gives.
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::Compile(compile) => compile.run(),
        }
    }
}

impl Compile {
    /// Compiles, and prints the resources of each kernel.
    fn run(self) -> Result<()> {
        let mut output = Output::new();
        for architecture in &self.arch {
            let threads = thread_count(self.threads);
            for module in Backend::compile_kernels(architecture, &self.output, threads)? {
                for line in match self.json {
                    true => json_of(&module),
                    false => text_of(&module),
                } {
                    output.line(line)?;
                }
            }
        }
        output.finish()
    }
}

fn json_of(module: &CompiledModule) -> Vec<String> {
    let kernels = module.kernels.iter().map(|kernel| {
        let object = json!({
            "source": module.source,
            "architecture": module.architecture,
            "nvrtc": version(module),
            "module_bytes": module.bytes,
            "kernel": kernel.name,
            "registers": kernel.registers,
            "stack_bytes": kernel.stack_bytes,
            "spill_bytes": kernel.spill_bytes,
            "shared_bytes": kernel.shared_bytes,
            "slow_code": module.slow_code,
        });
        object.to_string()
    });
    kernels.collect()
}

fn text_of(module: &CompiledModule) -> Vec<String> {
    let mut lines = vec![format!(
        "{}, {}, NVRTC {}: {}",
        module.source,
        module.architecture,
        version(module),
        Size(module.bytes as u64)
    )];
    lines.extend(module.kernels.iter().map(|kernel| {
        format!(
            "  {}: {} registers, {} bytes of stack, {} bytes spilled",
            kernel.name, kernel.registers, kernel.stack_bytes, kernel.spill_bytes
        )
    }));
    lines.extend(module.slow_code.iter().map(|line| format!("  {line}")));
    lines
}

fn version(module: &CompiledModule) -> String {
    format!("{}.{}", module.nvrtc.0, module.nvrtc.1)
}

#[cfg(test)]
mod tests {
    use esparsa::neural::KernelUsage;

    use super::*;

    fn module() -> CompiledModule {
        let kernel = |name: &str, registers| KernelUsage {
            name: name.into(),
            registers,
            stack_bytes: 8,
            spill_bytes: 12,
            shared_bytes: 0,
        };
        CompiledModule {
            source: "rows.cu",
            architecture: "sm_90".into(),
            nvrtc: (13, 0),
            bytes: 2048,
            kernels: vec![kernel("add_norm", 64), kernel("embed", 40)],
            slow_code: vec!["(C7508) 'setmaxnreg' ignored".into()],
        }
    }

    #[test]
    fn the_text_has_a_line_for_each_kernel_and_message() {
        let expected = [
            "rows.cu, sm_90, NVRTC 13.0: 2.0 kB",
            "  add_norm: 64 registers, 8 bytes of stack, 12 bytes spilled",
            "  embed: 40 registers, 8 bytes of stack, 12 bytes spilled",
            "  (C7508) 'setmaxnreg' ignored",
        ];
        assert_eq!(text_of(&module()), expected);
    }

    #[test]
    fn there_is_a_json_object_for_each_kernel() {
        let lines = json_of(&module());
        assert_eq!(lines.len(), 2);
        let first: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(first["kernel"], "add_norm");
        assert_eq!(first["registers"], 64);
        assert_eq!(first["nvrtc"], "13.0");
        assert_eq!(first["module_bytes"], 2048);
        assert_eq!(first["slow_code"][0], "(C7508) 'setmaxnreg' ignored");
    }
}
