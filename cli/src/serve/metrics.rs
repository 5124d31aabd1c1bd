//! What the server counts, in the text form that Prometheus reads.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::StatusCode;

use super::indexes::Indexes;
use super::route::RouteKind;

/// Upper bounds of the buckets of latencies, in seconds.
const BUCKETS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];
/// The statuses that responses have; any other is counted with the last.
const STATUSES: [u16; 12] = [200, 304, 400, 401, 403, 404, 405, 408, 413, 503, 504, 500];

/// Counters of the server. Requests only add to atomics.
#[derive(Default)]
pub struct Metrics {
    routes: [OfRoute; RouteKind::ALL.len()],
    open: AtomicU64,
}

#[derive(Default)]
struct OfRoute {
    statuses: [AtomicU64; STATUSES.len()],
    /// Requests by the first bucket that they fit; the last one has the slower ones.
    buckets: [AtomicU64; BUCKETS.len() + 1],
    micros: AtomicU64,
}

/// Counts a request as open until it is dropped.
pub struct Open<'a>(&'a AtomicU64);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// Counts a request that begins.
    pub fn begin(&self) -> Open<'_> {
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(&self.open)
    }

    /// Counts a response.
    pub fn record(&self, kind: RouteKind, status: StatusCode, took: Duration) {
        let Some(route) = self.routes.get(kind as usize) else {
            return;
        };
        let place = STATUSES.iter().position(|one| *one == status.as_u16());
        let place = place.unwrap_or(STATUSES.len() - 1);
        let seconds = took.as_secs_f64();
        let bucket = BUCKETS.partition_point(|bound| *bound < seconds);
        for counter in [&route.statuses[place], &route.buckets[bucket]] {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        route.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Everything that is counted, and what the indexes hold.
    pub fn render(&self, indexes: &Indexes) -> String {
        let mut out = String::with_capacity(8 << 10);
        // Writing to a string cannot fail.
        let _ = self.write_requests(&mut out);
        let _ = write_indexes(&mut out, indexes);
        out
    }

    fn write_requests(&self, out: &mut String) -> std::fmt::Result {
        let routes = || RouteKind::ALL.into_iter().zip(&self.routes);
        header(
            out,
            "esparsa_requests_total",
            "counter",
            "Responses by route and status.",
        )?;
        for (kind, route) in routes() {
            for (status, count) in STATUSES.into_iter().zip(&route.statuses) {
                let (path, count) = (kind.path(), count.load(Ordering::Relaxed));
                if count > 0 {
                    writeln!(
                        out,
                        "esparsa_requests_total{{route=\"{path}\",status=\"{status}\"}} {count}"
                    )?;
                }
            }
        }
        let name = "esparsa_request_duration_seconds";
        header(
            out,
            name,
            "histogram",
            "Time from the head of a request to its response.",
        )?;
        for (kind, route) in routes() {
            route.write_histogram(out, name, kind.path())?;
        }
        let open = self.open.load(Ordering::Relaxed);
        header(
            out,
            "esparsa_requests_open",
            "gauge",
            "Requests being answered.",
        )?;
        writeln!(out, "esparsa_requests_open {open}")
    }
}

impl OfRoute {
    fn write_histogram(&self, out: &mut String, name: &str, path: &str) -> std::fmt::Result {
        let counts = self
            .buckets
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        let counts: Vec<u64> = counts.collect();
        let all: u64 = counts.iter().sum();
        if all == 0 {
            return Ok(());
        }
        let mut below = 0;
        for (bound, count) in BUCKETS.iter().zip(&counts) {
            below += count;
            writeln!(
                out,
                "{name}_bucket{{route=\"{path}\",le=\"{bound}\"}} {below}"
            )?;
        }
        let seconds = self.micros.load(Ordering::Relaxed) as f64 / 1e6;
        writeln!(out, "{name}_bucket{{route=\"{path}\",le=\"+Inf\"}} {all}")?;
        writeln!(out, "{name}_sum{{route=\"{path}\"}} {seconds}")?;
        writeln!(out, "{name}_count{{route=\"{path}\"}} {all}")
    }
}

fn write_indexes(out: &mut String, indexes: &Indexes) -> std::fmt::Result {
    let held: Vec<_> = indexes
        .iter()
        .map(|index| (label(&index.name), index.snapshot(), index.failed_reloads()))
        .collect();
    header(
        out,
        "esparsa_index_documents",
        "gauge",
        "Documents that are not deleted.",
    )?;
    for (name, snapshot, _) in &held {
        let documents = snapshot.documents();
        writeln!(
            out,
            "esparsa_index_documents{{index=\"{name}\"}} {documents}"
        )?;
    }
    header(
        out,
        "esparsa_index_commit",
        "gauge",
        "The commit that is served.",
    )?;
    for (name, snapshot, _) in &held {
        let commit = snapshot.commit();
        writeln!(out, "esparsa_index_commit{{index=\"{name}\"}} {commit}")?;
    }
    let name = "esparsa_index_failed_reloads_total";
    header(
        out,
        name,
        "counter",
        "New commits that could not be opened, tries included.",
    )?;
    for (index, _, failed) in &held {
        writeln!(out, "{name}{{index=\"{index}\"}} {failed}")?;
    }
    Ok(())
}

fn header(out: &mut String, name: &str, kind: &str, help: &str) -> std::fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

/// A name as the value of a label.
fn label(name: &str) -> String {
    name.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_route_status_and_time() {
        let metrics = Metrics::default();
        let open = metrics.begin();
        for (status, micros) in [(200, 400), (200, 900_000), (418, 9_000_000)] {
            let status = StatusCode::from_u16(status).unwrap();
            metrics.record(RouteKind::Search, status, Duration::from_micros(micros));
        }
        let mut out = String::new();
        metrics.write_requests(&mut out).unwrap();
        let route = "route=\"/api/indexes/{name}/search\"";
        for line in [
            format!("esparsa_requests_total{{{route},status=\"200\"}} 2\n"),
            format!("esparsa_requests_total{{{route},status=\"500\"}} 1\n"),
            format!("esparsa_request_duration_seconds_bucket{{{route},le=\"0.0005\"}} 1\n"),
            format!("esparsa_request_duration_seconds_bucket{{{route},le=\"1\"}} 2\n"),
            format!("esparsa_request_duration_seconds_bucket{{{route},le=\"+Inf\"}} 3\n"),
            format!("esparsa_request_duration_seconds_sum{{{route}}} 9.9004\n"),
            "esparsa_requests_open 1\n".to_owned(),
        ] {
            assert!(out.contains(&line), "{line}{out}");
        }
        drop(open);
        assert_eq!(metrics.open.into_inner(), 0);
        assert_eq!(label("a\"b\\c"), "a\\\"b\\\\c");
    }
}
