//! Calls of the driver library, on a fake one that a child process loads in its place.

use std::env;
use std::fs;
use std::process::Command;

use super::*;
use crate::backend::cuda::device::{GpuDevice, MAX_DOWNLOAD_BYTES};
use crate::backend::cuda::sources;

/// Says that this process is the child of a test.
const IS_CHILD: &str = "ESPARSA_TEST_IS_CHILD";

/// Runs `check` in a child process of this test with the fake driver and these variables. The test
/// is a function of this module.
fn with_fake(test: &str, variables: &[(&str, &str)], check: impl FnOnce()) {
    if env::var_os(IS_CHILD).is_some() {
        check();
        println!("child: done");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("fake.cpp");
    fs::write(&source, include_str!("fake.cpp")).unwrap();
    let built = Command::new("g++")
        .args(["-shared", "-fPIC", "-o"])
        .arg(folder.path().join("libcuda.so"))
        .arg(&source)
        .output();
    let Ok(built) = built else {
        println!("skipped: no g++");
        return;
    };
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let output = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            &format!("backend::cuda::driver::fake::{test}"),
            "--nocapture",
        ])
        .env("LD_LIBRARY_PATH", folder.path())
        .env(IS_CHILD, "1")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("child: done"),
        "{text}\n{errors}"
    );
}

/// A device of the fake driver, which has this version.
fn device_of(driver: i32, cache: Cache) -> Driver {
    let context = Context::new(0, 80, 100_000, driver, cache).unwrap();
    Driver {
        context: Arc::new(context),
        name: "fake".into(),
        architecture: 80,
        multiprocessors: 1,
    }
}

fn device() -> Driver {
    device_of(12_040, Cache::at("/nowhere"))
}

#[test]
fn a_stub_of_the_toolkit_is_named() {
    let check = || {
        let error = Driver::count().unwrap_err().to_string();
        assert!(
            error.contains("stub") && error.contains("LD_LIBRARY_PATH"),
            "{error}"
        );
        let folder = env::var("LD_LIBRARY_PATH").unwrap();
        assert!(error.contains(&format!("{folder}/libcuda.so")), "{error}");
    };
    with_fake(
        "a_stub_of_the_toolkit_is_named",
        &[("FAKE_STUB", "1")],
        check,
    );
}

#[test]
fn the_callers_context_stays_current() {
    let check = || {
        let own = 0x1234 as sys::CUcontext;
        let current = || {
            let mut context = std::ptr::null_mut();
            // SAFETY: the fake driver writes to the pointer.
            let _ = unsafe { sys::cuCtxGetCurrent(&mut context) };
            context
        };
        // SAFETY: the fake driver does not use the context.
        let _ = unsafe { sys::cuCtxSetCurrent(own) };
        let device = device();
        let stream = device.stream().unwrap();
        let address = device.allocate(100).unwrap();
        assert_eq!(current(), own);
        stream.upload(address, &[5; 100]).unwrap();
        stream.fill(address, 6, 50).unwrap();
        assert_eq!(current(), own);
        let mut bytes = [0; 100];
        stream.download(address, &mut bytes).unwrap();
        assert_eq!((bytes[49], bytes[50]), (6, 5));
        stream.fence().unwrap().wait().unwrap();
        stream.synchronize().unwrap();
        device.memory().unwrap();
        assert_eq!(current(), own);
        // Dropped before it is finished.
        drop(stream.start_download(address, 10).unwrap());
        device.free(address);
        drop(stream);
        drop(device);
        assert_eq!(current(), own);
    };
    with_fake("the_callers_context_stays_current", &[], check);
}

#[test]
fn pinned_memory_that_runs_out_is_an_error_to_retry() {
    let check = || {
        let device = device();
        let (first, second) = (device.stream().unwrap(), device.stream().unwrap());
        let address = device.allocate(100).unwrap();
        first.upload(address, &[1; 100]).unwrap();
        // The limit is what the ring of one stream takes.
        let error = second.upload(address, &[2; 100]).unwrap_err();
        assert!(error.is_device_memory(), "{error}");
        let error = second.download(address, &mut [0; 100]).unwrap_err();
        assert!(error.is_device_memory(), "{error}");
        first.release_pinned();
        second.upload(address, &[2; 100]).unwrap();
        second.release_pinned();
        let mut bytes = [0; 100];
        second.download(address, &mut bytes).unwrap();
        assert_eq!(bytes, [2; 100]);
        device.free(address);
    };
    let variables = [("FAKE_PINNED", "4194304")];
    with_fake(
        "pinned_memory_that_runs_out_is_an_error_to_retry",
        &variables,
        check,
    );
}

#[test]
fn downloads_of_every_size_come_back() {
    let check = || {
        let device = device();
        let stream = device.stream().unwrap();
        let bytes = MAX_DOWNLOAD_BYTES + 12_345;
        let address = device.allocate(bytes).unwrap();
        let sent: Vec<u8> = (0..bytes).map(|i| ((i * 31) >> 3) as u8).collect();
        stream.upload(address, &sent).unwrap();
        for size in [1, 4096, MAX_DOWNLOAD_BYTES, bytes] {
            let mut back = vec![0; size];
            stream.download(address, &mut back).unwrap();
            assert!(back == sent[..size], "{size} bytes");
        }
        device.free(address);
    };
    with_fake("downloads_of_every_size_come_back", &[], check);
}

#[test]
fn parameters_of_another_size_than_the_kernels_are_refused() {
    let check = || {
        let folder = tempfile::tempdir().unwrap();
        let mut cache = Cache::at(folder.path());
        cache.takes_any_version = true;
        cache.put(&compile::name("pool.cu", 80, (12, 0)), b"code");
        let launch = |driver: i32, bytes: usize| {
            let stream = device_of(driver, cache.clone()).stream().unwrap();
            stream.launch(sources::kernel("pool"), [1, 1, 1], 0, &vec![0; bytes])
        };
        // The fake driver says 48, the table 40: older drivers do not know.
        let error = launch(12_040, 40).unwrap_err().to_string();
        assert!(
            error.contains("expected 40 bytes of parameters, found 48"),
            "{error}"
        );
        launch(12_030, 40).unwrap();
        let error = launch(12_030, 48).unwrap_err().to_string();
        assert!(
            error.contains("expected 40 bytes of parameters, found 48"),
            "{error}"
        );
    };
    let test = "parameters_of_another_size_than_the_kernels_are_refused";
    with_fake(test, &[("FAKE_PARAMETERS", "48")], check);
}
