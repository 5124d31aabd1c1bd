//! Making records on several threads and writing them in order.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::thread;

use peers::Result;

/// Records are made this many at a time.
const CHUNK: usize = 4_096;

/// Writes `count` records to a file. Each thread makes a state of its own with `state` and calls `make` with it,
/// the number of a record and the bytes to append it to; the states are returned.
pub fn write_records<S: Send>(
    path: &Path,
    count: usize,
    threads: usize,
    state: impl Fn() -> S + Sync,
    make: impl Fn(&mut S, usize, &mut Vec<u8>) + Sync,
) -> Result<Vec<S>> {
    let mut file = File::create(path)?;
    let (state, make) = (&state, &make);
    thread::scope(|scope| {
        let (mut receivers, mut handles) = (Vec::new(), Vec::new());
        for worker in 0..threads {
            // Two chunks may wait; then the worker does.
            let (sender, receiver) = sync_channel(2);
            receivers.push(receiver);
            handles.push(scope.spawn(move || {
                let mut state = state();
                for start in (worker * CHUNK..count).step_by(threads * CHUNK) {
                    let mut bytes = Vec::new();
                    for number in start..(start + CHUNK).min(count) {
                        make(&mut state, number, &mut bytes);
                    }
                    if sender.send(bytes).is_err() {
                        break; // Writing failed, which the writer reports.
                    }
                }
                state
            }));
        }
        for chunk in 0..count.div_ceil(CHUNK) {
            file.write_all(&receivers[chunk % threads].recv()?)?;
        }
        drop(receivers);
        let states = handles.into_iter().map(|handle| {
            let state = handle.join();
            state.map_err(|_| "a thread stopped with a panic".into())
        });
        states.collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_in_order_whatever_the_number_of_threads() {
        let count = 3 * CHUNK + 17;
        let path = std::env::temp_dir().join(format!("peers-stream-{}", std::process::id()));
        let mut expected = Vec::new();
        for number in 0..count {
            writeln!(expected, "{number}").unwrap();
        }
        for threads in [1, 2, 5] {
            let make = |made: &mut usize, number: usize, bytes: &mut Vec<u8>| {
                *made += 1;
                writeln!(bytes, "{number}").unwrap();
            };
            let states = write_records(&path, count, threads, || 0, make).unwrap();
            assert_eq!(states.iter().sum::<usize>(), count);
            assert!(std::fs::read(&path).unwrap() == expected);
        }
        std::fs::remove_file(&path).unwrap();
    }
}
