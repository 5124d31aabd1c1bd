//! The public items of the library, compared with the list in `tests/public-api.txt`, so that a
//! change of the public API is seen and meant.
//!
//! ```text
//! RUSTDOC=$PWD/.ci/rustdoc-unstable cargo rustdoc --release -p esparsa --lib --features neural -- \
//!     -Z unstable-options --output-format json
//! ESPARSA_RUSTDOC_JSON=target/doc/esparsa.json ESPARSA_WRITE_PUBLIC_API=1 \
//!     cargo test --release --test it public_api
//! ```
//!
//! writes the list anew. Without the first variable the test says that it compared nothing.

use std::path::Path;

#[test]
fn the_public_items_are_those_of_the_list() {
    let Some(json) = std::env::var_os("ESPARSA_RUSTDOC_JSON") else {
        println!("ESPARSA_RUSTDOC_JSON is not set: the public items are not compared");
        return;
    };
    let api = public_api::Builder::from_rustdoc_json(&json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()
        .unwrap();
    let found: Vec<String> = api.items().map(ToString::to_string).collect();
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/public-api.txt");
    if std::env::var_os("ESPARSA_WRITE_PUBLIC_API").is_some() {
        std::fs::write(&list, found.join("\n") + "\n").unwrap();
    }
    let kept = std::fs::read_to_string(&list).unwrap();
    let kept: Vec<&str> = kept.lines().collect();
    let missing: Vec<_> = kept
        .iter()
        .filter(|item| !found.iter().any(|f| f == **item))
        .collect();
    let new: Vec<_> = found
        .iter()
        .filter(|item| !kept.contains(&item.as_str()))
        .collect();
    assert!(
        missing.is_empty() && new.is_empty(),
        "the public items changed; if that is meant, write {} anew (see the docs of this test)\n\
         no longer there: {missing:#?}\nnew: {new:#?}",
        list.display()
    );
}
