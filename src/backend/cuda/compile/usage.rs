//! What the compiler's log says of kernels: registers, stack, spills, and warnings about speed.

/// The resources of a compiled kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelUsage {
    /// The name of the kernel.
    pub name: String,
    /// Registers per thread.
    pub registers: u32,
    /// Bytes of stack per thread, spilled registers included.
    pub stack_bytes: u32,
    /// Bytes of spill stores and loads together, in the code.
    pub spill_bytes: u32,
    /// Bytes of static shared memory per block, without the dynamic part of the launch.
    pub shared_bytes: u32,
}

/// The kernels of a log, by name.
pub(super) fn usages(log: &str) -> Vec<KernelUsage> {
    let mut all: Vec<KernelUsage> = Vec::new();
    for line in log.lines() {
        if let Some((_, rest)) = line.split_once("Compiling entry function '") {
            all.push(KernelUsage {
                name: rest.split('\'').next().unwrap_or_default().to_owned(),
                ..KernelUsage::default()
            });
        }
        let Some(usage) = all.last_mut() else {
            continue;
        };
        let number = |after: &str| number_before(line, after);
        if let Some(bytes) = number(" bytes stack frame") {
            usage.stack_bytes = bytes;
            usage.spill_bytes = number(" bytes spill stores").unwrap_or(0)
                + number(" bytes spill loads").unwrap_or(0);
        }
        if let Some(registers) = number(" registers") {
            usage.registers = registers;
            usage.shared_bytes = number(" bytes smem").unwrap_or(0);
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn number_before(line: &str, after: &str) -> Option<u32> {
    let (before, _) = line.split_once(after)?;
    let digits = before.rsplit(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The lines in which ptxas says that code is correct but slow: messages C7500 to C7599, such as
/// C7508 (setmaxnreg is ignored) and C7510 to C7515 (products of warpgroups are serialized).
pub(super) fn slow_code(log: &str) -> Vec<String> {
    let is_one = |line: &&str| {
        let codes = line.split("(C75").skip(1);
        let mut digits = codes.map(str::as_bytes).map(|rest| rest.get(..3));
        digits.any(|code| {
            matches!(code, Some([tens, ones, b')']) if tens.is_ascii_digit() && ones.is_ascii_digit())
        })
    };
    let lines = log.lines().filter(is_one);
    lines.map(|line| line.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_log_is_parsed() {
        let log = "ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'pool' for 'sm_80'
ptxas info    : Function properties for pool
ptxas         .     272 bytes stack frame, 544 bytes spill stores, 388 bytes spill loads
ptxas info    : Used 32 registers, used 1 barriers, 272 bytes cumulative stack size, 1024 bytes smem, 456 bytes cmem[0]
ptxas info    : Compile time = 43.352 ms
ptxas info    : Compiling entry function 'embed' for 'sm_80'
ptxas info    : Function properties for embed
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 11 registers";
        let usage = |name: &str, numbers: [u32; 4]| KernelUsage {
            name: name.into(),
            registers: numbers[0],
            stack_bytes: numbers[1],
            spill_bytes: numbers[2],
            shared_bytes: numbers[3],
        };
        let expected = [
            usage("embed", [11, 0, 0, 0]),
            usage("pool", [32, 272, 932, 1024]),
        ];
        assert_eq!(usages(log), expected);
    }

    #[test]
    fn messages_about_slow_code_are_found() {
        let slow = [
            "ptxas info    : (C7508) Potential Performance Loss: 'setmaxnreg' ignored; unable to determine register count at entry.",
            "ptxas info    : (C7510) Potential Performance Loss: wgmma.mma_async instructions are serialized due to non wgmma instructions defining accumulator registers of a wgmma between start and end of the pipeline stage in the function 'product_hopper_128'",
            "ptxas info    : (C7511) a",
            "ptxas info    : (C7512) b",
            "ptxas info    : (C7513) c",
            "ptxas info    : (C7514) d",
            "ptxas info    : (C7515) e",
        ];
        for line in slow {
            let log =
                format!("ptxas info    : 0 bytes gmem\n{line}\nptxas info    : Used 11 registers");
            assert_eq!(slow_code(&log), [line]);
        }
        assert_eq!(slow_code(&slow.join("\n")).len(), slow.len());
        let other =
            "ptxas info    : (C7) x\n(C7600) y\n(C75) z\n(C751) z\n(C75a0) z\nUsed 7508 registers";
        assert_eq!(slow_code(other), [""; 0]);
    }
}
