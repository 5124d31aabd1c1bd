//! Latencies: one number for each query and round, and what is printed of them.

use std::hint::black_box;
use std::time::Instant;

use crate::Result;

/// Runs `work` for each input and times each call alone: microseconds, in the order of the inputs.
pub fn pass<I, O>(inputs: &[I], mut work: impl FnMut(&I) -> Result<O>) -> Result<Vec<f64>> {
    let mut times = Vec::with_capacity(inputs.len());
    for input in inputs {
        let start = Instant::now();
        let output = black_box(work(black_box(input))?);
        times.push(start.elapsed().as_secs_f64() * 1e6);
        drop(output);
    }
    Ok(times)
}

/// Statistics over queries, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    pub mean: f64,
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
}

impl Latency {
    fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        Self {
            mean: times.iter().sum::<f64>() / times.len() as f64,
            p50: quantile(&times, 0.50),
            p95: quantile(&times, 0.95),
            p99: quantile(&times, 0.99),
        }
    }
}

/// The smallest of sorted values that at least a share `q` of them does not exceed.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    quantile(&values, 0.5)
}

/// The rounds of one engine, a row of the table.
pub struct Row {
    pub name: &'static str,
    rounds: Vec<Vec<f64>>,
}

impl Row {
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            rounds: Vec::new(),
        }
    }

    pub fn push(&mut self, times: Vec<f64>) {
        self.rounds.push(times);
    }

    fn means(&self) -> Vec<f64> {
        let mean = |times: &Vec<f64>| times.iter().sum::<f64>() / times.len() as f64;
        self.rounds.iter().map(mean).collect()
    }

    /// Statistics of each round, then the median over the rounds.
    pub fn typical(&self) -> Latency {
        let rounds = self.rounds.iter();
        let latencies: Vec<Latency> = rounds.map(|times| Latency::of(times.clone())).collect();
        let of = |part: fn(&Latency) -> f64| median(latencies.iter().map(part));
        Latency {
            mean: of(|latency| latency.mean),
            p50: of(|latency| latency.p50),
            p95: of(|latency| latency.p95),
            p99: of(|latency| latency.p99),
        }
    }

    /// Statistics of each query's fastest round: what is left when other work on the machine interrupts
    /// some rounds.
    pub fn undisturbed(&self) -> Latency {
        let mut fastest = self.rounds[0].clone();
        for times in &self.rounds {
            for (best, time) in fastest.iter_mut().zip(times) {
                *best = best.min(*time);
            }
        }
        Latency::of(fastest)
    }
}

/// This row's mean over that of another, round by round: least, median, greatest.
pub fn ratio(row: &Row, other: &Row) -> [f64; 3] {
    let pairs = row.means().into_iter().zip(other.means());
    let ratios: Vec<f64> = pairs.map(|(a, b)| a / b).collect();
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = ratios.iter().copied().fold(0.0, f64::max);
    [least, median(ratios), greatest]
}
