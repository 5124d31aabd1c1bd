//! Whether products run by wgmma and tensor copies (TMA), on GPUs that have them, or by mma as on
//! all others.

use std::env;
use std::ffi::OsString;

use super::HOPPER;
use super::device::GpuDevice;
use crate::error::{Error, Result};

const VARIABLE: &str = "ESPARSA_CUDA_KERNELS";

/// Whether this device uses the kernels for sm_90: if it can, unless `$ESPARSA_CUDA_KERNELS` says
/// `mma`.
///
/// # Errors
///
/// [`Error::Device`] for another value of the variable, and for `wgmma` on a device without it.
pub(super) fn uses_wgmma(device: &dyn GpuDevice) -> Result<bool> {
    let chosen = env::var_os(VARIABLE);
    choose(chosen, device.architecture())
        .map_err(|reason| Error::device(format!("{}: {reason}", device.name())))
}

fn choose(chosen: Option<OsString>, architecture: u32) -> std::result::Result<bool, String> {
    let is_hopper = architecture == HOPPER;
    let chosen = chosen.map(|value| value.to_string_lossy().into_owned());
    match chosen.as_deref() {
        None | Some("") => Ok(is_hopper),
        Some("mma") => Ok(false),
        Some("wgmma") if is_hopper => Ok(true),
        Some("wgmma") => Err(format!(
            "{VARIABLE}=wgmma: expected compute capability 9.0, found {}.{}; set it to mma, or not at all",
            architecture / 10,
            architecture % 10
        )),
        Some(other) => Err(format!(
            "{VARIABLE}: expected mma (all GPUs) or wgmma (compute capability 9.0), found {other:?}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: Option<&str>, architecture: u32) -> std::result::Result<bool, String> {
        choose(value.map(OsString::from), architecture)
    }

    #[test]
    fn wgmma_is_used_where_it_exists_unless_the_environment_says_mma() {
        for unset in [None, Some("")] {
            assert_eq!(of(unset, 90), Ok(true));
            assert_eq!(of(unset, 80), Ok(false));
            assert_eq!(of(unset, 100), Ok(false));
        }
        assert_eq!(of(Some("mma"), 90), Ok(false));
        assert_eq!(of(Some("wgmma"), 90), Ok(true));
    }

    #[test]
    fn a_choice_that_cannot_be_honored_names_what_was_expected() {
        let error = of(Some("hopper"), 90).unwrap_err();
        assert!(
            error.contains("expected mma") && error.contains("wgmma"),
            "{error}"
        );
        assert!(error.contains("found \"hopper\""), "{error}");
        let error = of(Some("wgmma"), 89).unwrap_err();
        assert!(error.contains("9.0") && error.contains("8.9"), "{error}");
    }
}
