//! A store in memory with injected faults, which records its requests.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is refused: nothing is done.
    Refused,
    /// It is carried out, and the answer is lost.
    AnswerLost,
    /// Half of the bytes arrive.
    CutShort,
    /// A bit of the bytes is another.
    BitFlipped,
    /// The answer takes longer than the caller waits.
    TooSlow,
    /// The program has a defect.
    Panics,
}

pub const FAULTS: [Fault; 5] = [
    Fault::Refused,
    Fault::AnswerLost,
    Fault::CutShort,
    Fault::BitFlipped,
    Fault::TooSlow,
];

/// When a fault happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Never,
    /// At this request, counted from 0.
    Once(u64),
    /// At this request and at all later ones.
    From(u64),
}

#[derive(Debug, Default)]
struct State {
    inner: InMemory,
    requests: AtomicU64,
    fault: Mutex<Option<(Fault, When)>>,
    log: Mutex<Vec<String>>,
}

/// Clones share the objects.
#[derive(Clone, Debug, Default)]
pub struct TestStore {
    state: Arc<State>,
}

impl fmt::Display for TestStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "test:/")
    }
}

impl TestStore {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn fail(&self, fault: Fault, when: When) {
        *self.state.fault.lock().unwrap() = Some((fault, when));
        self.state.requests.store(0, Ordering::Relaxed);
    }

    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::Relaxed)
    }

    /// What was requested since the last call.
    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut *self.state.log.lock().unwrap())
    }

    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        futures_executor::block_on(async {
            let mut objects = BTreeMap::new();
            let mut listed = self.state.inner.list(None);
            while let Some(meta) = listed.next().await {
                let location = meta.unwrap().location;
                let bytes = self.state.inner.get(&location).await.unwrap();
                let bytes = bytes.bytes().await.unwrap().to_vec();
                objects.insert(location.to_string(), bytes);
            }
            objects
        })
    }

    pub fn overwrite(&self, name: &str, bytes: Vec<u8>) {
        let location = Path::from(name);
        let put = self.state.inner.put(&location, bytes.into());
        futures_executor::block_on(put).unwrap();
    }

    /// Counts and logs a request, and returns its fault; an error where nothing is done.
    async fn begin(&self, request: String) -> Result<Option<Fault>> {
        self.state.log.lock().unwrap().push(request);
        let number = self.state.requests.fetch_add(1, Ordering::Relaxed);
        let fault = *self.state.fault.lock().unwrap();
        let fault = fault.filter(|(_, when)| match when {
            When::Never => false,
            When::Once(at) => number == *at,
            When::From(at) => number >= *at,
        });
        match fault.map(|(fault, _)| fault) {
            Some(Fault::Panics) => panic!("injected"),
            Some(Fault::Refused) => Err(injected("connection refused")),
            // Longer than the tests wait for a read; other requests wait as long as it takes.
            Some(Fault::TooSlow) => {
                tokio::time::sleep(Duration::from_millis(60)).await;
                Ok(None)
            }
            fault => Ok(fault),
        }
    }
}

fn injected(message: &str) -> Error {
    Error::Generic {
        store: "test",
        source: format!("injected: {message}").into(),
    }
}

fn end<T>(fault: Option<Fault>, answer: Result<T>) -> Result<T> {
    match fault {
        Some(Fault::AnswerLost) => Err(injected("the answer was lost")),
        _ => answer,
    }
}

#[async_trait]
impl ObjectStore for TestStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let fault = self.begin(format!("put {location}")).await?;
        end(
            fault,
            self.state.inner.put_opts(location, payload, options).await,
        )
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.state.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let what = if options.head { "head" } else { "get" };
        let range = match &options.range {
            Some(object_store::GetRange::Bounded(range)) => format!(" {range:?}"),
            _ => String::new(),
        };
        let fault = self.begin(format!("{what} {location}{range}")).await?;
        let is_head = options.head;
        let got = end(fault, self.state.inner.get_opts(location, options).await)?;
        if is_head || !matches!(fault, Some(Fault::CutShort | Fault::BitFlipped)) {
            return Ok(got);
        }
        let (meta, range, attributes) =
            (got.meta.clone(), got.range.clone(), got.attributes.clone());
        let extensions = got.extensions.clone();
        let bytes = damaged(fault, got.bytes().await?.to_vec(), &range);
        let payload = futures_util::stream::once(async { Ok(bytes.into()) }).boxed();
        Ok(GetResult {
            payload: GetResultPayload::Stream(payload),
            meta,
            range,
            attributes,
            extensions,
        })
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        let delete = move |location: Result<Path>| {
            let this = this.clone();
            async move {
                let location = location?;
                let fault = this.begin(format!("delete {location}")).await?;
                let deleted = this.state.inner.delete(&location).await;
                end(fault, deleted)?;
                Ok(location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.state.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let fault = self.begin("list".into()).await?;
        end(fault, self.state.inner.list_with_delimiter(prefix).await)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let fault = self.begin(format!("copy {from} {to}")).await?;
        end(fault, self.state.inner.copy_opts(from, to, options).await)
    }
}

fn damaged(fault: Option<Fault>, mut bytes: Vec<u8>, range: &Range<u64>) -> Vec<u8> {
    if fault == Some(Fault::CutShort) {
        bytes.truncate(bytes.len() / 2);
    } else if !bytes.is_empty() {
        let at = (range.start * 31 + 7) as usize % bytes.len();
        bytes[at] ^= 4;
    }
    bytes
}
