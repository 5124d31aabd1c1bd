//! `esparsa serve`: indexes over HTTP, for programs and for people.
//!
//! What comes in: requests of HTTP/1.1. What goes out: JSON, metrics, and the files of a page that
//! searches by the same API. Nothing here writes to an index, and no answer names a path of the file
//! system. A request passes from top to bottom:
//!
//! | file | concept |
//! | --- | --- |
//! | `server`, `writes` | connections: accepted, bounded, drained at the end |
//! | `app` | a request's permit, time, body and thread |
//! | `access` | who may ask |
//! | `route` | from the path to what is asked for |
//! | `parameters`, `query` | what the client sent, checked |
//! | `system`, `plan`, `fusion`, `options` | how a query is searched |
//! | `search`, `documents`, `suggest`, `encode`, `overview` | the answers |
//! | `engine` | what the engine did, in an answer |
//! | `hits`, `stored`, `passages` | what an answer has of a document |
//! | `models`, `vector` | models, and what they make of a query |
//! | `judged` | queries with relevance judgements |
//! | `indexes`, `named` | the indexes, and their newest commits; folders and files with names |
//! | `metrics` | what is counted |
//! | `reply`, `error` | responses |
//! | `page` | the page, and the description of the API |

mod access;
mod app;
mod documents;
mod encode;
mod engine;
mod error;
mod fusion;
mod hits;
mod indexes;
mod judged;
mod metrics;
mod models;
mod named;
mod options;
mod overview;
mod page;
mod parameters;
mod passages;
mod plan;
mod query;
mod reply;
mod route;
mod search;
mod server;
mod stored;
mod suggest;
mod system;
mod vector;
mod writes;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use clap::builder::TypedValueParser;
use esparsa::{Error, Result};

use self::access::{Access, token_parser};
use self::app::{App, Limits};
use self::indexes::Indexes;
use self::judged::Judgements;
use self::models::{ModelOptions, Models};
use self::named::{FileOfIndex, NamedFolder, file_parser, folder_parser};
use self::server::Connections;
use crate::index::thread_count;
use crate::queries::k_parser;
use crate::size::Size;

/// The variable of the environment that may have the token, which other users of the machine could
/// read among the arguments.
const TOKEN_VARIABLE: &str = "ESPARSA_TOKEN";

const EXAMPLES: &str = "\
Examples:
  Search in a browser, at the address that is printed:
    esparsa serve --index wiki.index

  Two indexes, and requests of programs:
    esparsa serve --index wiki.index --index shop=products/index
    curl 'http://127.0.0.1:7700/api/indexes/shop/search?q=tea+cup&facets=color&snippets=1'
    curl 'http://127.0.0.1:7700/api/indexes/shop/search' \\
         --data '{\"query\": {\"text\": {\"text\": \"tea\"}}, \"filter\": {\"range\": {\"price\": {\"lt\": 20}}}}'

  An index with learned vectors, the models that made them, a re-ranker and judged queries:
    esparsa serve --index wiki.index --model splade --model minilm --rerank colbert \\
         --qrels qrels/test.tsv --queries queries.jsonl
    curl 'http://127.0.0.1:7700/api/indexes/wiki.index/search?q=old+castles&system=sparse&query_terms=20'

  For other machines, with a token:
    ESPARSA_TOKEN=\"$(cat token)\" esparsa serve --index wiki.index --listen 0.0.0.0:7700
    curl --header \"Authorization: Bearer $(cat token)\" http://server:7700/api/indexes

`/api/openapi.json` describes the API, `/metrics` is for Prometheus, `/health` for whoever watches. Commits of writers
are seen within --reload-ms. Traffic is not encrypted: put a proxy with TLS before the server where others can listen.
A server behind a proxy needs a token, also on the same machine: without one it refuses requests under the name of the
proxy as those of another site. SIGTERM and Ctrl-C let running requests finish; a second signal ends the server at once.";

/// Arguments of `esparsa serve`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Serve {
    /// Folder of an index, which is served under the folder's name or under NAME. May be given more
    /// than once.
    #[arg(long, value_name = "[NAME=]DIR", required = true, value_parser = folder_parser)]
    index: Vec<NamedFolder>,
    /// Address and port to listen on; port 0 is a free one. Any address but one of the loopback
    /// interface needs --token, and so does a server behind a proxy.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7700")]
    listen: SocketAddr,
    /// What requests must have in the header `Authorization: Bearer TOKEN`, except for the files of
    /// the page and `/health`; at least 16 characters [default: the environment variable
    /// ESPARSA_TOKEN, or none].
    #[arg(long, value_name = "TOKEN", value_parser = token_parser)]
    token: Option<String>,
    #[command(flatten)]
    models: ModelOptions,
    /// Relevance judgements, which mark the hits of searches for the text of a judged query; needs
    /// --queries. With several indexes the NAME of one is before the file.
    #[arg(long, value_name = "[NAME=]FILE", value_parser = file_parser)]
    qrels: Vec<FileOfIndex>,
    /// The texts of the judged queries, which suggestions offer; needs --qrels.
    #[arg(long, value_name = "[NAME=]FILE", value_parser = file_parser)]
    queries: Vec<FileOfIndex>,
    /// Number of threads that search [default: all cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    /// Max number of hits of a search, those that its offset leaves out included.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = k_parser())]
    max_k: usize,
    /// Max time for a request; then it is stopped, and answered with 504.
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = ms_parser())]
    timeout_ms: u64,
    /// Max size of the body of a request, such as 64kB or 1MiB.
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = body_parser)]
    max_body: usize,
    /// Max number of requests that are answered or wait for a thread at once; others are answered
    /// with 503.
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_requests: u32,
    /// Max time for the head of a request, and between requests of one connection; then it is
    /// closed.
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = ms_parser())]
    header_timeout_ms: u64,
    /// Max time for a client to take an answer that is ready, unless it takes at least 16 kB a
    /// second; then the connection is closed.
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = ms_parser())]
    write_timeout_ms: u64,
    /// How often to look for new commits.
    #[arg(long, value_name = "MS", default_value_t = 500, value_parser = ms_parser())]
    reload_ms: u64,
    /// Max time for running requests to finish after SIGTERM or Ctrl-C.
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = ms_parser())]
    drain_ms: u64,
}

impl Serve {
    /// Serves until the process is asked to end.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for an address that needs a token, and what opening the indexes, the
    /// models and the judgements, and listening give.
    pub fn run(self) -> Result<()> {
        let access = self.access()?;
        let limits = Limits {
            max_k: self.max_k,
            timeout: Duration::from_millis(self.timeout_ms),
            max_body: self.max_body,
            max_requests: self.max_requests as usize,
        };
        let connections = Connections {
            listen: self.listen,
            // Requests that use models leave the threads of searches to them.
            threads: thread_count(self.threads) + self.models.max_calls(),
            header_timeout: Duration::from_millis(self.header_timeout_ms),
            write_timeout: Duration::from_millis(self.write_timeout_ms),
            drain: Duration::from_millis(self.drain_ms),
        };
        let indexes = Arc::new(Indexes::open(self.index)?);
        let judgements = Judgements::open(&self.qrels, &self.queries, &indexes)?;
        let models = Models::open(self.models, &indexes)?;
        models.note_unused(&indexes);
        let app = App::new(indexes.clone(), models, judgements, limits, access);
        let app = Arc::new(app);
        let every = Duration::from_millis(self.reload_ms);
        let (stop, stopped) = channel();
        let reloading = std::thread::spawn(move || indexes.keep_newest(every, &stopped));
        let served = connections.serve(app);
        drop(stop);
        // A panic there has printed its message, and the server has ended anyway.
        let _ = reloading.join();
        served
    }

    fn access(&self) -> Result<Access> {
        let token = match (&self.token, std::env::var(TOKEN_VARIABLE)) {
            (Some(token), _) => Some(token.clone()),
            (None, Ok(token)) if !token.is_empty() => {
                let checked = token_parser(&token);
                Some(checked.map_err(|error| {
                    Error::invalid(format!("the token in {TOKEN_VARIABLE}: {error}"))
                })?)
            }
            _ => None,
        };
        match token {
            Some(token) => Ok(Access::Token(token)),
            None if self.listen.ip().is_loopback() => Ok(Access::Local),
            None => Err(Error::invalid(format!(
                "expected a token for the address {}, which other machines may reach, found none; give one by --token or \
                 {TOKEN_VARIABLE}, or listen on 127.0.0.1",
                self.listen.ip()
            ))),
        }
    }
}

/// Parser of a time in milliseconds, up to a day.
fn ms_parser() -> impl TypedValueParser<Value = u64> {
    clap::value_parser!(u64).range(1..=86_400_000)
}

/// Parser of the max size of a body.
fn body_parser(text: &str) -> Result<usize> {
    let size: Size = text.parse()?;
    let bytes = usize::try_from(size.0).ok();
    let bytes = bytes.filter(|bytes| (1..=1 << 30).contains(bytes));
    bytes.ok_or_else(|| Error::invalid(format!("expected a size from 1 B to 1GiB, found {text}")))
}
