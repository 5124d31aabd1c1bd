//! Opening, creating, and the snapshot of the newest commit.

use esparsa::Index;
use std::mem::MaybeUninit;

use crate::arguments::{Text, leave, object};
use crate::schema::EsparsaSchema;
use crate::snapshot::EsparsaSnapshot;
use crate::status::{EsparsaStatus, free, run};

/// An index, in a folder or in memory. Any number of threads may use it at the same time.
pub struct EsparsaIndex(pub Index);

/// Opens the index in a folder.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_index_open(
    path: Text<'_>,
    index: Option<&mut MaybeUninit<*mut EsparsaIndex>>,
) -> EsparsaStatus {
    run(|| {
        leave(index, "index", || {
            Ok(EsparsaIndex(Index::open(path.get("path")?)?))
        })
    })
}

/// Makes an index in a folder, which must not have one. The schema is copied.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_index_create(
    path: Text<'_>,
    schema: Option<&EsparsaSchema>,
    index: Option<&mut MaybeUninit<*mut EsparsaIndex>>,
) -> EsparsaStatus {
    run(|| {
        leave(index, "index", || {
            let schema = object(schema, "schema")?.build()?;
            Ok(EsparsaIndex(Index::create(path.get("path")?, schema)?))
        })
    })
}

/// Opens the index in a folder, or makes one where there is none. An index with other fields is an
/// error.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_index_open_or_create(
    path: Text<'_>,
    schema: Option<&EsparsaSchema>,
    index: Option<&mut MaybeUninit<*mut EsparsaIndex>>,
) -> EsparsaStatus {
    run(|| {
        leave(index, "index", || {
            let schema = object(schema, "schema")?.build()?;
            let path = path.get("path")?;
            Ok(EsparsaIndex(Index::open_or_create(path, schema)?))
        })
    })
}

/// Makes an index in memory.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_index_in_memory(
    schema: Option<&EsparsaSchema>,
    index: Option<&mut MaybeUninit<*mut EsparsaIndex>>,
) -> EsparsaStatus {
    run(|| {
        leave(index, "index", || {
            let schema = object(schema, "schema")?.build()?;
            Ok(EsparsaIndex(Index::in_memory(schema)?))
        })
    })
}

/// The newest commit, as it is searched. This is cheap: take one for each request.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_index_snapshot(
    index: Option<&EsparsaIndex>,
    snapshot: Option<&mut MaybeUninit<*mut EsparsaSnapshot>>,
) -> EsparsaStatus {
    run(|| {
        leave(snapshot, "snapshot", || {
            Ok(EsparsaSnapshot(object(index, "index")?.0.snapshot()?))
        })
    })
}

/// Frees an index. Its snapshots and writers may be used on.
#[unsafe(no_mangle)]
pub extern "C" fn esparsa_index_free(index: Option<Box<EsparsaIndex>>) {
    free(index);
}
