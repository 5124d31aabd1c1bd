//! From a request to a response: who may ask, how much at once, for how long, and on which thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use esparsa::executor::CancelToken;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::{Method, Request};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout_at;

use super::access::Access;
use super::documents;
use super::encode;
use super::error::ApiError;
use super::indexes::Indexes;
use super::judged::Judgements;
use super::metrics::Metrics;
use super::models::Models;
use super::overview;
use super::page;
use super::parameters::Parameters;
use super::reply::{self, JSON, Reply, TEXT};
use super::route::{Route, RouteKind};
use super::search;
use super::suggest;

/// What a request may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Hits of a search, those before its offset included.
    pub max_k: usize,
    /// Time for the body and the answer.
    pub timeout: Duration,
    /// Bytes of a body.
    pub max_body: usize,
    /// Requests that are answered at once.
    pub max_requests: usize,
}

/// What all requests share.
pub struct App {
    pub indexes: Arc<Indexes>,
    pub limits: Limits,
    pub access: Access,
    pub metrics: Metrics,
    pub models: Models,
    pub judgements: Judgements,
    permits: Arc<Semaphore>,
    /// Kilobytes of answers that clients have not taken yet.
    answers: Arc<Semaphore>,
}

/// Kilobytes of answers that may wait for their clients.
const MAX_ANSWERS: usize = 256 * 1024;

/// A request whose answer takes work, as the thread that does it gets it.
pub struct Work {
    pub app: Arc<App>,
    pub route: Route,
    pub parameters: Parameters,
    pub cancel: CancelToken,
}

/// Cancels the work when nobody waits for it any more: after the time is up, and when the client
/// has closed the connection.
struct CancelOnDrop(CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl App {
    /// Nothing has been asked yet.
    pub fn new(
        indexes: Arc<Indexes>,
        models: Models,
        judgements: Judgements,
        limits: Limits,
        access: Access,
    ) -> Self {
        Self {
            models,
            judgements,
            indexes,
            limits,
            access,
            metrics: Metrics::default(),
            permits: Arc::new(Semaphore::new(limits.max_requests)),
            answers: Arc::new(Semaphore::new(MAX_ANSWERS)),
        }
    }

    /// Answers a request, and counts it.
    pub async fn respond(self: Arc<Self>, request: Request<Incoming>) -> Reply {
        let started = Instant::now();
        let _open = self.metrics.begin();
        let route = Route::of(request.uri().path());
        let kind = route.as_ref().map_or(RouteKind::Unknown, Route::kind);
        let answer = match self.access.check(kind, &request).and(route) {
            Ok(route) => self.clone().answer(route, request, started).await,
            Err(error) => Err(error),
        };
        let reply = answer.unwrap_or_else(|error| reply::refusal(&error));
        self.metrics.record(kind, reply.status(), started.elapsed());
        reply
    }

    async fn answer(
        self: Arc<Self>,
        route: Route,
        request: Request<Incoming>,
        started: Instant,
    ) -> Result<Reply, ApiError> {
        route.check_method(request.method())?;
        match &route {
            Route::Page(file) => return Ok(file.reply(request.headers())),
            Route::OpenApi => return Ok(reply::file(JSON, page::OPEN_API, request.headers())),
            Route::Health => return Ok(reply::answer(JSON, overview::health(&self.indexes)?)),
            Route::Metrics => return Ok(reply::answer(TEXT, self.metrics.render(&self.indexes))),
            Route::Indexes => return Ok(reply::answer(JSON, overview::indexes(&self)?)),
            _ => {}
        }
        let limit = self.limits.max_requests;
        let permit = self.permits.clone().try_acquire_owned();
        let permit = permit.map_err(|_| ApiError::overloaded(limit))?;
        let deadline = (started + self.limits.timeout).into();
        let timeout_ms = self.limits.timeout.as_millis() as u64;
        let query = request.uri().query().unwrap_or_default().to_owned();
        let body = match *request.method() {
            Method::POST => timeout_at(deadline, self.body(request))
                .await
                .map_err(|_| ApiError::slow_body(timeout_ms))??,
            _ => Bytes::new(),
        };
        let parameters = Parameters::read(&query, &body)?;
        // A request that waits for a model keeps no thread meanwhile.
        let call = match route.needs_model(&parameters) {
            true => {
                let call = timeout_at(deadline, self.models.call()).await;
                Some(call.map_err(|_| ApiError::timed_out(timeout_ms))??)
            }
            false => None,
        };
        let cancel = CancelToken::new();
        let _cancel_on_drop = CancelOnDrop(cancel.clone());
        let answers = self.answers.clone();
        let work = Work {
            app: self,
            route,
            parameters,
            cancel,
        };
        // The thread keeps the permit until it is done, even when the answer has been given up: what
        // still runs counts.
        let working = spawn_blocking(move || {
            let (_permit, _call) = (permit, call);
            work.run()
        });
        let answered = timeout_at(deadline, working).await;
        let answered = answered.map_err(|_| ApiError::timed_out(timeout_ms))?;
        let json = answered.unwrap_or_else(|error| Err(of_thread(&error)))?;
        let kilobytes = json.len().div_ceil(1024) as u32;
        let memory = answers.try_acquire_many_owned(kilobytes);
        let memory = memory.map_err(|_| ApiError::answers_waiting())?;
        Ok(reply::answer(JSON, reply::counted(json, memory)))
    }

    /// The body of a request.
    async fn body(&self, request: Request<Incoming>) -> Result<Bytes, ApiError> {
        let limit = self.limits.max_body;
        let body = request.into_body();
        if body.size_hint().lower() > limit as u64 {
            return Err(ApiError::too_large(limit));
        }
        match Limited::new(body, limit).collect().await {
            Ok(whole) => Ok(whole.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(ApiError::too_large(limit)),
            Err(_) => Err(ApiError::invalid(
                "expected a whole body, found that it ends early or is not encoded as its headers say; send it again",
            )),
        }
    }
}

impl Work {
    /// Does the work; the result is JSON.
    fn run(mut self) -> Result<Vec<u8>, ApiError> {
        // It may have waited for a thread until its time was up.
        self.cancel.check("searching")?;
        let app = self.app.clone();
        match self.route.clone() {
            Route::Search { index } => search::answer(&mut self, app.indexes.get(&index)?),
            Route::Document { index, id } => {
                documents::answer(&mut self, app.indexes.get(&index)?, &id)
            }
            Route::Explain { index } => documents::explain(&mut self, app.indexes.get(&index)?),
            Route::Encode { index } => encode::answer(&mut self, app.indexes.get(&index)?),
            Route::Suggest { index } => suggest::answer(&mut self, app.indexes.get(&index)?),
            _ => Err(ApiError::internal("a route without work got a thread")),
        }
    }

    /// Ends the reading of parameters.
    ///
    /// # Errors
    ///
    /// 400 when one is left.
    pub fn finish_parameters(&mut self) -> Result<(), ApiError> {
        std::mem::take(&mut self.parameters).finish()
    }
}

/// The error of a thread that ended without an answer.
fn of_thread(error: &JoinError) -> ApiError {
    ApiError::internal(match error.is_panic() {
        true => "a thread panicked",
        false => "a thread was stopped",
    })
}
