//! The rules of the emulator, each with mutants that only it finds: their results are right under
//! some schedule when the rule is off, and they fail when it is on.

use super::*;
use crate::backend::cuda::device::{Address, GpuDevice, Kernel};

const fn mutant(name: &'static str, threads: u32) -> Kernel {
    Kernel {
        name,
        file: "emulate/mutants.cpp",
        threads,
        parameter_bytes: 192,
        hopper: true,
    }
}

static REGISTERS: Kernel = mutant("mutant_registers", 384);
static WARPGROUP: Kernel = mutant("mutant_warpgroup", 128);
static PRODUCT_PROXY: Kernel = mutant("mutant_product_proxy", 128);
static STORE_PROXY: Kernel = mutant("mutant_store_proxy", 128);
static MATRICES: Kernel = mutant("mutant_matrices", 128);
static PACE: Kernel = mutant("mutant_pace", 128);
static COPY: Kernel = mutant("mutant_copy", 128);
static ACCUMULATORS: Kernel = mutant("mutant_accumulators", 128);
static EXCHANGE: Kernel = mutant("mutant_exchange", 128);
static PHASE: Kernel = mutant("mutant_phase", 128);
static BLOCKS: Kernel = mutant("mutant_blocks", 128);
static ALIGNMENT: Kernel = mutant("mutant_alignment", 128);
static TRAFFIC: Kernel = mutant("mutant_traffic", 128);

/// The rule that finds a mutant, and how its message begins; the empty message is a wrong result.
const FOUND: &[(&Kernel, i32, Rule, &str)] = &[
    (&WARPGROUP, 1, Rule::Warpgroups, "warpgroup: "),
    (&WARPGROUP, 2, Rule::Warpgroups, "warpgroup: "),
    (&WARPGROUP, 3, Rule::Warpgroups, "warpgroup: "),
    (&REGISTERS, 1, Rule::Warpgroups, "every thread waits: "),
    (&REGISTERS, 2, Rule::Warpgroups, "every thread waits: "),
    (&PRODUCT_PROXY, 1, Rule::Proxies, "proxy: a copy or product"),
    (&PRODUCT_PROXY, 2, Rule::Proxies, "proxy: a copy or product"),
    (&PRODUCT_PROXY, 3, Rule::Proxies, "proxy: a copy or product"),
    (&STORE_PROXY, 1, Rule::Proxies, "proxy: a copy or product"),
    (&STORE_PROXY, 2, Rule::Proxies, "proxy: a copy or product"),
    (&STORE_PROXY, 3, Rule::Proxies, "proxy: a copy or product"),
    (&MATRICES, 1, Rule::Proxies, "proxy: a copy or product"),
    (&MATRICES, 2, Rule::Races, "race: "),
    (&PACE, 1, Rule::Races, "race: "),
    (&COPY, 1, Rule::Proxies, "proxy: a copy's barrier"),
    (&COPY, 2, Rule::Races, "race: "),
    (&ACCUMULATORS, 1, Rule::Accumulators, ""),
    (&ACCUMULATORS, 2, Rule::Accumulators, "accumulators: "),
    (&EXCHANGE, 1, Rule::Races, "race: "),
    (&EXCHANGE, 2, Rule::Races, "race: "),
    (&EXCHANGE, 3, Rule::Races, "race: "),
    (&EXCHANGE, 4, Rule::Races, "race: "),
    (&PHASE, 1, Rule::Phases, "phase: "),
    (&PHASE, 2, Rule::Phases, "phase: "),
];

/// Runs a mutant with this many blocks. The correct result is 128 values of 64.
fn run(gpu: &Emulator, kernel: &'static Kernel, mutant: i32, blocks: u32) -> Result<()> {
    let stream = gpu.stream().unwrap();
    let (out, ones) = (gpu.allocate(512).unwrap(), gpu.allocate(8_192).unwrap());
    stream.fill(out, 0, 512).unwrap();
    stream.upload(ones, &[0x80, 0x3f].repeat(4_096)).unwrap();
    let map = gpu.tensor_map(ones, 64, 64, 64, 64).unwrap();
    let mut parameters = Vec::new();
    parameters.extend(map.0.iter().flat_map(|word| word.to_le_bytes()));
    parameters.extend(
        [out, ones]
            .iter()
            .flat_map(|word: &Address| word.to_le_bytes()),
    );
    parameters.extend(mutant.to_le_bytes());
    parameters.resize(kernel.parameter_bytes, 0);
    let launched = stream
        .launch(kernel, [blocks, 1, 1], 32_768, &parameters)
        .and_then(|()| stream.synchronize());
    let mut values = [0; 512];
    let downloaded = stream.download(out, &mut values);
    gpu.free(out);
    gpu.free(ones);
    launched.and(downloaded)?;
    match tensor::decode_f32(&values)
        .iter()
        .all(|value| *value == 64.0)
    {
        true => Ok(()),
        false => Err(Error::device(format!("{}: a wrong result", kernel.name))),
    }
}

fn is_message(error: &Error, kernel: &Kernel, begins: &str) -> bool {
    let expected = match begins {
        "" => format!("{}: a wrong result", kernel.name),
        begins => format!("{}: {begins}", kernel.name),
    };
    error.to_string().contains(&expected)
}

#[test]
fn each_rule_finds_its_mutants_under_every_schedule() {
    let Some(gpu) = Emulator::new(90, 0) else {
        return;
    };
    let schedules: Vec<_> = (0..8).map(|number| gpu.with_schedule(number)).collect();
    for &(kernel, mutant, rule, message) in FOUND {
        let what = format!("{} {mutant}", kernel.name);
        for gpu in &schedules {
            gpu.set_rules(Rule::ALL);
            run(gpu, kernel, 0, 1).expect(&what);
            let error = run(gpu, kernel, mutant, 1).expect_err(&what);
            assert!(is_message(&error, kernel, message), "{what}: {error}");
        }
        gpu.set_rules(Rule::ALL & !(rule as u32));
        let is_ok = schedules
            .iter()
            .any(|gpu| run(gpu, kernel, mutant, 1).is_ok());
        assert!(is_ok, "{what}: another rule finds it too");
    }
    gpu.set_rules(Rule::ALL);
}

#[test]
fn blocks_that_run_together_show_a_lost_update() {
    let Some(gpu) = Emulator::new(90, 0) else {
        return;
    };
    let schedules: Vec<_> = (0..8).map(|number| gpu.with_schedule(number)).collect();
    for gpu in &schedules {
        run(gpu, &BLOCKS, 0, 64).unwrap();
    }
    let are_found = schedules
        .iter()
        .filter(|gpu| run(gpu, &BLOCKS, 1, 64).is_err());
    // Every third schedule runs one block at a time.
    assert_eq!(are_found.count(), 5);
    gpu.set_rules(Rule::ALL & !(Rule::Blocks as u32));
    let is_ok = |gpu: &Emulator| run(gpu, &BLOCKS, 1, 64).is_ok();
    assert!(schedules.iter().all(is_ok));
    gpu.set_rules(Rule::ALL);
}

#[test]
fn copies_of_nothing_have_aligned_addresses() {
    let Some(gpu) = Emulator::new(90, 0) else {
        return;
    };
    run(&gpu, &ALIGNMENT, 0, 1).unwrap();
    let error = run(&gpu, &ALIGNMENT, 1, 1).unwrap_err().to_string();
    assert!(error.contains("no multiple of 16"), "{error}");
}

#[test]
fn barriers_count_a_limited_number_of_bytes() {
    let Some(gpu) = Emulator::new(90, 0) else {
        return;
    };
    let error = run(&gpu, &COPY, 3, 1).unwrap_err().to_string();
    assert!(error.contains("more than 2^20 - 1 bytes"), "{error}");
}

#[test]
fn conflicts_and_sectors_are_counted() {
    let Some(gpu) = Emulator::new(90, 0) else {
        return;
    };
    gpu.set_rules(Rule::Traffic as u32);
    for (mutant, wavefronts, sectors) in [(0, 1, 4), (1, 32, 32)] {
        gpu.traffic();
        run(&gpu, &TRAFFIC, mutant, 1).unwrap();
        let traffic = gpu.traffic();
        let worst = |is_shared| {
            let own = traffic.iter().filter(|line| line.is_shared == is_shared);
            own.map(|line| line.worst).max()
        };
        assert_eq!(worst(true), Some(wavefronts), "{traffic:#?}");
        assert_eq!(worst(false), Some(sectors), "{traffic:#?}");
        assert!(
            traffic
                .iter()
                .all(|line| line.place.starts_with("mutants.cpp:"))
        );
    }
    gpu.set_rules(Rule::ALL);
}
