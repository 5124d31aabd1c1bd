//! Errors on machines without a GPU, and round trips on machines with one.

use super::*;
use crate::backend::cuda::sources::KERNELS;

fn gpu() -> Option<Driver> {
    if !matches!(Driver::count(), Ok(1..)) {
        println!("skipped: no GPU");
        return None;
    }
    // The GPU is too old, or there is no NVRTC.
    Driver::open(0)
        .map_err(|error| println!("skipped: {error}"))
        .ok()
}

#[test]
fn a_machine_without_a_driver_says_what_to_do() {
    // SAFETY: loading the library runs its initializers, which only set up its own data.
    if unsafe { sys::is_culib_present() } {
        return;
    }
    for error in [Driver::open(0).err(), Driver::count().err()] {
        let error = error.unwrap();
        assert!(matches!(error, Error::Device { .. }));
        assert!(!error.is_device_memory());
        let text = error.to_string();
        assert!(
            text.contains("no NVIDIA driver") && text.contains("install"),
            "{text}"
        );
    }
}

#[test]
fn a_missing_gpu_is_named() {
    let Ok(count) = Driver::count() else {
        return;
    };
    let text = Driver::open(count).err().unwrap().to_string();
    assert!(text.contains(&format!("with number {count}")), "{text}");
}

#[test]
fn versions_are_for_people() {
    assert_eq!(version_text(12080), "12.8");
    assert_eq!(version_text(13000), "13.0");
}

/// A byte pattern without short periods.
fn pattern(bytes: usize, seed: u8) -> Vec<u8> {
    (0..bytes)
        .map(|i| (i.wrapping_mul(31) >> 3) as u8 ^ seed)
        .collect()
}

#[test]
fn bytes_come_back_as_they_went() {
    let Some(device) = gpu() else {
        return;
    };
    println!(
        "{}, {:?} bytes of memory",
        device.name(),
        device.memory().unwrap()
    );
    let stream = device.stream().unwrap();
    // Small, about one part of the ring, and more than the whole ring.
    for bytes in [
        1,
        255,
        4096,
        (1 << 20) - 1,
        (1 << 20) + 1,
        (9 << 20) + 12_345,
    ] {
        let address = device.allocate(bytes).unwrap();
        let sent = pattern(bytes, bytes as u8);
        stream.upload(address, &sent).unwrap();
        let mut back = vec![0; bytes];
        stream.download(address, &mut back).unwrap();
        assert!(sent == back, "{bytes} bytes");
        stream.fill(address, 0xa5, bytes).unwrap();
        stream.download(address, &mut back).unwrap();
        assert!(back.iter().all(|&byte| byte == 0xa5), "{bytes} bytes");
        stream.synchronize().unwrap();
        device.free(address);
    }
}

#[test]
fn many_uploads_do_not_overtake_each_other() {
    let Some(device) = gpu() else {
        return;
    };
    let stream = device.stream().unwrap();
    let (count, bytes) = (300, 50_000);
    let address = device.allocate(count * bytes).unwrap();
    for i in 0..count {
        let to = address + (i * bytes) as u64;
        stream.upload(to, &pattern(bytes, i as u8)).unwrap();
    }
    let mut back = vec![0; count * bytes];
    stream.download(address, &mut back).unwrap();
    for (i, part) in back.chunks(bytes).enumerate() {
        assert!(part == pattern(bytes, i as u8), "upload {i}");
    }
    device.free(address);
}

#[test]
fn too_much_memory_is_an_error_of_its_own() {
    let Some(device) = gpu() else {
        return;
    };
    let (_, total) = device.memory().unwrap();
    let error = device.allocate(total + (1 << 30)).unwrap_err();
    assert!(error.is_device_memory(), "{error}");
}

#[test]
fn captured_work_runs_when_the_graph_is_launched() {
    let Some(device) = gpu() else {
        return;
    };
    let stream = device.stream().unwrap();
    let address = device.allocate(1024).unwrap();
    stream.fill(address, 1, 1024).unwrap();
    stream.begin_capture().unwrap();
    stream.fill(address, 2, 512).unwrap();
    assert!(stream.upload(address, &[3]).is_err());
    assert!(stream.download(address, &mut [0]).is_err());
    assert!(stream.synchronize().is_err());
    assert!(stream.begin_capture().is_err());
    let graph = stream.end_capture().unwrap();
    assert!(stream.end_capture().is_err());
    let halves = || {
        let mut back = [0; 1024];
        stream.download(address, &mut back).unwrap();
        (back[0], back[1023])
    };
    assert_eq!(halves(), (1, 1));
    graph.launch().unwrap();
    assert_eq!(halves(), (2, 1));
    stream.fill(address, 4, 1024).unwrap();
    graph.launch().unwrap();
    assert_eq!(halves(), (2, 4));
    drop(graph);
    device.free(address);
}

#[test]
fn every_kernel_loads_and_refuses_wrong_parameters() {
    let Some(device) = gpu() else {
        return;
    };
    let stream = device.stream().unwrap();
    for kernel in KERNELS {
        if kernel.hopper && device.architecture() != 90 {
            continue;
        }
        let error = stream
            .launch(kernel, [1, 1, 1], 0, &[0; 3])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(kernel.name) && error.contains("found 3"),
            "{error}"
        );
        stream.launch(kernel, [1, 0, 1], 0, &[0; 3]).unwrap();
    }
}

#[test]
fn tensor_maps_are_checked() {
    let Some(device) = gpu().filter(|gpu| gpu.architecture() == 90) else {
        return;
    };
    let address = device.allocate(1 << 20).unwrap();
    let map = device.tensor_map(address, 100, 771, 776, 128).unwrap();
    assert_ne!(map, TensorMap([0; 16]));
    assert!(device.tensor_map(address, 0, 771, 776, 128).is_err());
    assert!(device.tensor_map(address, 100, 771, 775, 128).is_err());
    device.free(address);
}
