//! Products of bf16 rows with a panel by AMX tiles, which stable Rust reaches through assembly.
//!
//! There are eight tile registers: four accumulators (16 × 16 f32), two of rows and two of columns
//! (16 × 32 bf16, columns in pairs), so that every loaded tile is used twice. See Intel's
//! Architecture Instruction Set Extensions Programming Reference, chapter 3.

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count};
use std::sync::OnceLock;

use super::{Tile, WIDTH};

/// Bytes per row of a tile register.
const STRIDE: usize = 64;

/// The operand of `ldtilecfg`: palette 1, eight tiles of 16 rows of 64 bytes.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

static CONFIGURATION: Configuration = {
    let mut row_bytes = [0; 16];
    let mut rows = [0; 16];
    let mut tile = 0;
    while tile < 8 {
        row_bytes[tile] = 64;
        rows[tile] = 16;
        tile += 1;
    }
    Configuration {
        palette: 1,
        start_row: 0,
        reserved: [0; 14],
        row_bytes,
        rows,
    }
};

/// True if the CPU has AMX with bf16 and the system lets this process use it. Cached, because the
/// permission belongs to the process.
pub(super) fn is_permitted() -> bool {
    static PERMITTED: OnceLock<bool> = OnceLock::new();
    *PERMITTED.get_or_init(|| has_tiles() && is_granted())
}

/// True if the CPU has AMX tiles and bf16 tile products.
fn has_tiles() -> bool {
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    if __cpuid(0).eax < 7 {
        return false;
    }
    let features = __cpuid_count(7, 0).edx;
    features & AMX_BF16 != 0 && features & AMX_TILE != 0
}

/// Requests the tile registers from Linux, which a process must do before it uses them.
#[cfg(target_os = "linux")]
fn is_granted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const REQUEST_PERMISSION: u64 = 0x1023;
    const TILE_DATA: u64 = 18;
    let result: i64;
    // SAFETY: the call changes nothing but the requested permission; it overwrites rax, rcx and
    // r11.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") REQUEST_PERMISSION,
            in("rsi") TILE_DATA,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result == 0
}

/// Other systems are not supported.
#[cfg(not(target_os = "linux"))]
fn is_granted() -> bool {
    false
}

/// Sets the shapes of this thread's tiles.
///
/// # Safety
///
/// [`is_permitted`] returned true.
pub(super) unsafe fn configure() {
    // SAFETY: the configuration is 64 bytes and valid.
    unsafe {
        asm!(
            "ldtilecfg [{configuration}]",
            configuration = in(reg) &raw const CONFIGURATION,
            options(nostack, preserves_flags, readonly),
        );
    }
}

/// Releases this thread's tiles, so that the system need not save them.
///
/// # Safety
///
/// [`is_permitted`] returned true.
pub(super) unsafe fn release() {
    // SAFETY: no tile is in use between products.
    unsafe { asm!("tilerelease", options(nomem, nostack, preserves_flags)) };
}

/// # Safety
///
/// - [`is_permitted`] returned true and this thread is [configured](configure).
/// - `a` has `blocks` (1 or 2) times `steps` blocks of 512 values, `panel` `steps` times two such
///   blocks; `steps` is positive.
pub(super) unsafe fn multiply(
    a: &[u16],
    blocks: usize,
    steps: usize,
    panel: &[u16],
    tile: &mut Tile,
) {
    if steps == 0 {
        tile.0.fill(0.0);
        return;
    }
    let rows = a.as_ptr();
    let out = tile.0.as_mut_ptr();
    // SAFETY: guaranteed by the caller; the products of a block of rows fill the first or second
    // half of the tile.
    unsafe {
        if blocks == 1 {
            multiply_one(rows, panel.as_ptr(), steps, out);
        } else {
            multiply_two(rows, rows.add(steps * 512), panel.as_ptr(), steps, out);
        }
    }
}

/// Two blocks of rows with two of columns.
///
/// # Safety
///
/// As [`multiply`].
unsafe fn multiply_two(
    first: *const u16,
    second: *const u16,
    panel: *const u16,
    steps: usize,
    out: *mut f32,
) {
    // SAFETY: each step reads 1,024 bytes of each block of rows and 2,048 of the panel; the end
    // writes 32 rows of 128 bytes.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "tileloadd tmm6, [{panel} + {stride}*1]",
            "tileloadd tmm4, [{first} + {stride}*1]",
            "tileloadd tmm7, [{panel} + {stride}*1 + 1024]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm5, [{second} + {stride}*1]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {first}, 1024",
            "add {second}, 1024",
            "add {panel}, 2048",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{out} + {out_stride}*1], tmm0",
            "tilestored [{out} + {out_stride}*1 + 64], tmm1",
            "tilestored [{out} + {out_stride}*1 + 2048], tmm2",
            "tilestored [{out} + {out_stride}*1 + 2112], tmm3",
            first = inout(reg) first => _,
            second = inout(reg) second => _,
            panel = inout(reg) panel => _,
            steps = inout(reg) steps => _,
            out = in(reg) out,
            stride = in(reg) STRIDE,
            out_stride = in(reg) WIDTH * 4,
            options(nostack),
        );
    }
}

/// One block of rows with two of columns.
///
/// # Safety
///
/// As [`multiply`].
unsafe fn multiply_one(first: *const u16, panel: *const u16, steps: usize, out: *mut f32) {
    // SAFETY: each step reads 1,024 bytes of the rows and 2,048 of the panel; the end writes 16
    // rows of 128 bytes.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "2:",
            "tileloadd tmm4, [{first} + {stride}*1]",
            "tileloadd tmm6, [{panel} + {stride}*1]",
            "tileloadd tmm7, [{panel} + {stride}*1 + 1024]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "add {first}, 1024",
            "add {panel}, 2048",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{out} + {out_stride}*1], tmm0",
            "tilestored [{out} + {out_stride}*1 + 64], tmm1",
            first = inout(reg) first => _,
            panel = inout(reg) panel => _,
            steps = inout(reg) steps => _,
            out = in(reg) out,
            stride = in(reg) STRIDE,
            out_stride = in(reg) WIDTH * 4,
            options(nostack),
        );
    }
}
